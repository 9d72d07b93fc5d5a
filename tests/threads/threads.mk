# SPDX-License-Identifier: MIT
#
# mm/ on real threads under ThreadSanitizer: `make test-threads` (tests/threads/machine.h). Like the
# host programs of tests/tests.mk, but for the sanitizer and the shim.

THREADS_CFLAGS := -std=gnu11 -g -O2 -fno-omit-frame-pointer -fno-strict-aliasing \
	-U_FORTIFY_SOURCE -fsanitize=thread -pthread $(WARNINGS) -include tests/host/rename.h \
	-Itests/threads/shim -I.
THREADS_SRCS := $(wildcard tests/threads/*.c mm/*.c) kernel/spinlock.c kernel/trace.c \
	kernel/string.c
THREADS_OBJS := $(THREADS_SRCS:%.c=$(O)/threads/obj/%.o)

$(O)/threads/flags: flags = $(HOSTCC) $(THREADS_CFLAGS)

$(O)/threads/test_threads: $(THREADS_OBJS)
	$(call say,LINK,$@)
	$(Q)$(HOSTCC) $(THREADS_CFLAGS) $^ -o $@

$(O)/threads/obj/%.o: %.c $(O)/threads/flags | need-threads
	$(call say,HOSTCC,$<)
	@mkdir -p $(@D)
	$(Q)$(HOSTCC) $(THREADS_CFLAGS) $(rename_mem) -MMD -MP -c $< -o $@

-include $(THREADS_OBJS:.o=.d)

.PHONY: thread-programs test-threads
thread-programs: $(O)/threads/test_threads

test-threads: | try-everything ## mm/ on real threads, under ThreadSanitizer
	@$(SUITE) threads
