# SPDX-License-Identifier: MIT
#
# The hostile machine (tests/hostile/hostile.h): the simulator of the host tests, without ASan, and
# mm/ with a call before each access. Needs gcc: it tells volatile accesses from others.

HOSTILE_CFLAGS := -std=gnu11 -g -O2 -fno-omit-frame-pointer -fno-strict-aliasing -fno-pie \
	-U_FORTIFY_SOURCE $(WARNINGS) -include tests/host/rename.h -Itests/host/shim -I.
# Counting function entries costs time and tells nothing.
HOSTILE_MM_CFLAGS := -fsanitize=thread --param tsan-distinguish-volatile=1 \
	--param tsan-instrument-func-entry-exit=0
$(O)/hostile/flags: flags = $(HOSTCC) $(HOSTILE_CFLAGS) $(HOSTILE_MM_CFLAGS) $(HOSTILE_SEEN)
# The walker only looks at machines at rest.
HOSTILE_SEEN := $(filter-out mm/check%.c,$(wildcard mm/*.c)) xen/mmu.c
HOSTILE_OBJS := $(patsubst %.c,$(O)/hostile/obj/%.o,$(sort $(wildcard tests/hostile/*.c mm/*.c \
	tests/host/sim*.c) kernel/string.c xen/mmu.c xen/explain.c tests/host/xen_machine.c \
	tests/host/typing_full.c))

$(O)/hostile/hostile: $(HOSTILE_OBJS)
	$(call say,LINK,$@)
	$(Q)$(HOSTCC) -no-pie $^ -o $@

$(O)/hostile/obj/%.o: %.c $(O)/hostile/flags | need-host
	$(call say,HOSTCC,$<)
	@mkdir -p $(@D)
	$(Q)$(HOSTCC) $(HOSTILE_CFLAGS) $(if $(filter $(HOSTILE_SEEN),$<),$(HOSTILE_MM_CFLAGS)) \
		$(if $(filter kernel/string.c,$<),-DRENAME_MEM) -MMD -MP -c $< -o $@

-include $(HOSTILE_OBJS:.o=.d)

.PHONY: hostile-program test-hostile
hostile-program: $(O)/hostile/hostile
test-hostile: | try-everything ## mm/ under schedules that look for trouble
	@$(SUITE) hostile
