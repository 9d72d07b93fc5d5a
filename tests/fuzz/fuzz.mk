# SPDX-License-Identifier: MIT
#
# Keeping what the fuzzers find. tests/fuzz/corpus/NAME/ has few and small inputs that together
# reach all that was ever reached: make test replays them, and the fuzzers begin with them. To add:
#
#   make test-fuzz FUZZ_SECONDS=600     looks for longer; finds go to build/fuzz/found/
#   make fuzz-keep                      takes those over that reach something new, and all that once
#                                       made a fuzzer fail (crash-..., timeout-...), mended or not
#
# To try a failure by itself: build/host/replay_fuzz_NAME FILE.

FUZZ_KEPT := tests/fuzz/corpus
KEEP_SIZE := 4096

.PHONY: fuzz-keep $(FUZZERS:%=fuzz-keep-%)
fuzz-keep: $(FUZZERS:%=fuzz-keep-%) ## keeps what the fuzzers have found in tests/fuzz/corpus
	@du -sb $(FUZZ_KEPT)/*

$(FUZZERS:%=fuzz-keep-%): fuzz-keep-fuzz_%: $(O)/fuzz/fuzz_% $(O)/fuzz/seeds
	@mkdir -p $(FUZZ_KEPT)/$* $(O)/fuzz/found/fuzz_$*
	@find $(O)/fuzz/found/fuzz_$* -name '*-*' -exec cp -v {} $(FUZZ_KEPT)/$* \;
	$(Q)$< -merge=1 -max_len=$(KEEP_SIZE) $(FUZZ_KEPT)/$* $(wildcard $(O)/fuzz/seeds/$*) \
		$(O)/fuzz/found/fuzz_$* 2>&1 | grep 'new files with'
