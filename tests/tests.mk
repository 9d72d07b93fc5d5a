# SPDX-License-Identifier: MIT
#
# The tests. Everything is run by tests/harness/suite.py, which builds each part by these rules
# first: a part that does not compile is one failure, and the last line is always the total.

# --- Programs for this machine ----------------------------------------------------------------

# Each tests/host/test_NAME.c is a program, each tests/fuzz/fuzz_NAME.c a libFuzzer target, which is
# also made into a program that only replays inputs, with any compiler. Their `// links:` lines name
# what they are linked with (globs allowed); kernel/string.c always is. Sources under test are
# compiled as they are; tests/host/shim comes first on the include path, so that what mm/ knows of
# the machine (mm/mm_internal.h) is a simulated one.
HOSTCC ?= gcc
FUZZCC ?= clang
HOST_CFLAGS := -std=gnu11 -g -O1 -fno-omit-frame-pointer -fno-strict-aliasing -U_FORTIFY_SOURCE \
	-fsanitize=address,undefined -fno-sanitize-recover=all $(WARNINGS) \
	-include tests/host/rename.h -Itests/host/shim -I.
# The kernel's memcpy and its like are assembly that ASan cannot see into: only their own test uses
# them (tests/host/rename.h).
rename_mem = $(if $(filter kernel/string.c tests/host/test_string.c,$<),-DRENAME_MEM)
FUZZ_CFLAGS := $(HOST_CFLAGS)
# Compared values help to guess magic numbers, which only parsers have; and what the simulated
# machine does is of no interest to the fuzzer, only what mm/ does on it.
fuzz_cflags = $(if $(filter tests/host/sim%,$<),,-fsanitize=fuzzer-no-link \
	$(if $(filter mm/% tests/fuzz/%engine%,$<),-fno-sanitize-coverage=trace-cmp))

HOST_TESTS := $(patsubst tests/host/%.c,%,$(sort $(wildcard tests/host/test_*.c)))
FUZZERS := $(patsubst tests/fuzz/%.c,%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))

# $(call objects,DIRECTORY,SOURCE,MORE): what SOURCE is linked from, compiled into DIRECTORY
links = $(wildcard $(shell sed -n 's,^// links: ,,p' $(1)))
objects = $(patsubst %.c,$(O)/$(1)/obj/%.o,$(sort $(2) $(3) kernel/string.c $(call links,$(2))))

define program
$(O)/$(1): $(2)
PROGRAM_OBJS += $(2)
endef
$(foreach t,$(HOST_TESTS),$(eval $(call program,host/$(t),$(call objects,host,tests/host/$(t).c))))
$(foreach t,$(FUZZERS),$(eval $(call program,fuzz/$(t),$(call objects,fuzz,tests/fuzz/$(t).c))))
$(foreach t,$(FUZZERS),$(eval $(call program,host/replay_$(t),$(call \
	objects,host,tests/fuzz/$(t).c,tests/fuzz/replay_main.c))))

HOST_PROGRAMS := $(HOST_TESTS:%=$(O)/host/%) $(FUZZERS:%=$(O)/host/replay_%)
FUZZ_PROGRAMS := $(FUZZERS:%=$(O)/fuzz/%)

$(HOST_PROGRAMS):
	$(call say,LINK,$@)
	$(Q)$(HOSTCC) $(HOST_CFLAGS) $^ -o $@

$(FUZZ_PROGRAMS):
	$(call say,LINK,$@)
	$(Q)$(FUZZCC) $(FUZZ_CFLAGS) -fsanitize=fuzzer $^ -o $@

$(O)/host/obj/%.o: %.c $(O)/host/flags | need-host
	$(call say,HOSTCC,$<)
	@mkdir -p $(@D)
	$(Q)$(HOSTCC) $(HOST_CFLAGS) $(rename_mem) -MMD -MP -c $< -o $@

$(O)/fuzz/obj/%.o: %.c $(O)/fuzz/flags | need-fuzz
	$(call say,FUZZCC,$<)
	@mkdir -p $(@D)
	$(Q)$(FUZZCC) $(FUZZ_CFLAGS) $(fuzz_cflags) $(rename_mem) -MMD -MP -c $< -o $@

-include $(patsubst %.o,%.d,$(sort $(PROGRAM_OBJS)))

# Good inputs, for the fuzzers to start from.
$(O)/fuzz/seeds: tests/fuzz/make_seeds.py
	@mkdir -p $(@D)
	$(Q)$(PYTHON) $< $@ && touch $@

.PHONY: host-programs fuzz-programs
host-programs: $(HOST_PROGRAMS) $(O)/fuzz/seeds
fuzz-programs: $(FUZZ_PROGRAMS) $(O)/fuzz/seeds

include tests/fuzz/fuzz.mk

# --- Running them -----------------------------------------------------------------------------

SUITE = $(PYTHON) tests/harness/suite.py --build $(O) --jobs $(JOBS) --only '$(or $(ONLY),*)' \
	--fuzz-seconds $(FUZZ_SECONDS)
export MAKE

.PHONY: test test-host test-fuzz test-kernel test-boot test-xen test-domu test-bochs test-llvm
test: | try-everything ## all tests that this machine can run; the last line is the total
	@$(SUITE) host hostile threads model fuzz kernel checked boot xen domu bochs llvm

test-host: | try-everything ## mm/ and the parsers on this machine, under ASan and UBSan
	@$(SUITE) host

test-fuzz: | try-everything ## the parsers, FUZZ_SECONDS of new input each
	@$(SUITE) fuzz

test-kernel: | try-everything ## the kernel's own tests, one by one
	@$(SUITE) kernel

test-boot: | try-everything ## every door on all kinds of machines; the prompt; gdb; the figures
	@$(SUITE) boot

test-xen: | try-everything ## the kernel's own tests under Xen, as dom0
	@$(SUITE) xen

test-domu: | try-everything ## the same in domains made by xl, and all that xl can do to one
	@$(SUITE) domu

test-bochs: | try-everything ## the ISO in Bochs
	@$(SUITE) bochs

.PHONY: test-ubsan
test-ubsan: | try-everything ## the kernel's own tests with UBSAN=1, on more machines and under Xen
	@$(SUITE) checked checked-all

test-llvm: | try-everything ## the kernel built by LLVM=1
	@$(SUITE) llvm

.PHONY: soak
soak: $(ELF) iso xen-dom0 | need-run need-bochs ## random work, MINUTES on each of QEMU, Bochs, Xen
	@$(PYTHON) tests/harness/soak.py --build $(O) --minutes $(MINUTES)

# What can be installed is; a part whose programs are still missing is skipped, by name.
.PHONY: try-everything
try-everything:
	@tools/setup.sh $(BUILD_NEEDS) host run
	@tools/setup.sh --try threads iso uefi bochs gdb fuzz model llvm xen domu

include tests/model/model.mk
include tests/threads/threads.mk
include tests/hostile/hostile.mk
include tests/coverage/coverage.mk
