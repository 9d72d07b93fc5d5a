# SPDX-License-Identifier: MIT
#
# Which lines the tests reach: `make coverage` (tests/coverage/coverage.py). The host tests are
# built once more, with gcov's counting instead of the sanitizers; the kernel is measured as it is.

COVERAGE_CFLAGS := -std=gnu11 -g -O1 -fno-omit-frame-pointer -fno-strict-aliasing --coverage \
	-U_FORTIFY_SOURCE $(WARNINGS) -include tests/host/rename.h -Itests/host/shim -I.
COVERAGE_PROGRAMS := $(HOST_TESTS:%=$(O)/coverage/%) $(FUZZERS:%=$(O)/coverage/replay_%)

$(O)/coverage/flags: flags = $(HOSTCC) $(COVERAGE_CFLAGS)

# $(call counted,PROGRAM,SOURCE,MORE)
counted = $(eval $(O)/coverage/$(1): $(call objects,coverage,$(2),$(3) tests/coverage/exit.c))
$(foreach t,$(HOST_TESTS),$(call counted,$(t),tests/host/$(t).c))
$(foreach t,$(FUZZERS),$(call counted,replay_$(t),tests/fuzz/$(t).c,tests/fuzz/replay_main.c))

$(COVERAGE_PROGRAMS):
	$(call say,LINK,$@)
	$(Q)$(HOSTCC) $(COVERAGE_CFLAGS) -Wl,--wrap=_exit $^ -o $@

$(O)/coverage/obj/%.o: %.c $(O)/coverage/flags | need-host
	$(call say,HOSTCC,$<)
	@mkdir -p $(@D)
	@rm -f $(@:.o=.gcda)
	$(Q)$(HOSTCC) $(COVERAGE_CFLAGS) $(rename_mem) -MMD -MP -c $< -o $@

-include $(wildcard $(O)/coverage/obj/*/*.d $(O)/coverage/obj/*/*/*.d)

COVERAGE = $(PYTHON) tests/coverage/coverage.py --build $(O) --jobs $(JOBS)

.PHONY: coverage-programs coverage
coverage-programs: $(COVERAGE_PROGRAMS) $(O)/fuzz/seeds

coverage: coverage-programs $(ELF) | need-coverage need-run ## lines of mm/ and xen/ tests reach
	@tools/setup.sh --try xen
	@-$(MAKE) --no-print-directory O=$(O) xen-dom0
	@$(COVERAGE)
