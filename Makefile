# SPDX-License-Identifier: MIT
#
# How Lazymap is built, run and tested. `make help` lists the targets. There is one Makefile for the
# kernel and its images; tests/tests.mk, included at the end, holds the rules of the tests.
#
# Every target first has tools/setup.sh look for the programs it needs, and install them where that
# can be done (tools/packages.txt is the list). All that is made lies below $(O).
#
# Variables:
#   O=DIR              where to build           (build; build-llvm or build-ubsan with these set)
#   LLVM=1             clang, ld.lld and llvm-* instead of gcc and binutils
#   UBSAN=1            a kernel that panics where C defines nothing, and checks its locks; slower
#   TOOLPREFIX=P       a cross toolchain's prefix, as in TOOLPREFIX=x86_64-elf-
#   WERROR=1           warnings are errors (for automatic checks, whose compiler is known)
#   V=1                show the commands
# Of the run targets:
#   SMP=4 MEM=256M     CPUs and memory of the machine
#   CPU=max            QEMU's -cpu; qemu64 for an old one
#   MACHINE=q35        QEMU's -machine: q35, pc or microvm
#   ACCEL=tcg          QEMU's -accel; kvm where you have it
#   APPEND='...'       kernel command line, as in APPEND='run="test; check"'
#   QEMU_ARGS='...'    more arguments for QEMU, as in QEMU_ARGS='-display gtk'
#   TYPE=pv            how Xen runs the domain of run-domu: pv or pvh
#   GDB_ARGS='...'     more arguments for gdb, as in GDB_ARGS='-batch -ex bt'
#   TRACE_RUN='...'    what to trace, commands of the monitor (demo lazy; demo stale)
# Of the tests:
#   JOBS=2             emulators that run at once
#   FUZZ_SECONDS=3     how long each fuzzer looks for something new
#   ONLY=GLOB          only the boot tests whose name matches
#   MINUTES=5          how long `make soak` works on each machine

LLVM ?=
UBSAN ?=
O ?= build$(if $(LLVM),-llvm)$(if $(UBSAN),-ubsan)
TOOLPREFIX ?=
WERROR ?=
V ?=
SMP ?= 4
MEM ?= 256M
CPU ?= max
MACHINE ?= q35
ACCEL ?= tcg
APPEND ?=
QEMU_ARGS ?=
TYPE ?= pv
GDB_ARGS ?=
TRACE_RUN ?= demo lazy; demo stale
JOBS ?= 2
FUZZ_SECONDS ?= 3
ONLY ?=
MINUTES ?= 5

# Quiet unless V=1: $(Q) hides the command, $(call say,VERB,file) shows what is being made.
Q := $(if $(V),,@)
say = $(if $(V),@:,@printf '  %-7s %s\n' $(1) $(2))

MAKEFLAGS += --no-builtin-rules
.SUFFIXES:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := all

# --- Toolchain --------------------------------------------------------------------------------

ifneq ($(LLVM),)
CC := clang --target=x86_64-elf
LD := ld.lld
NM := llvm-nm
STRIP := llvm-strip
BUILD_NEEDS := llvm
else
CC := $(TOOLPREFIX)gcc
LD := $(TOOLPREFIX)ld
NM := $(TOOLPREFIX)nm
STRIP := $(TOOLPREFIX)strip
BUILD_NEEDS := build
endif
NASM := nasm
PYTHON := python3 -B

WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wundef \
	-Wpointer-arith $(if $(WERROR),-Werror)

# The kernel runs in the top 2 GiB (-mcmodel=kernel), takes interrupts on its own stack (no red
# zone), never saves vector registers (general registers only), and its backtraces follow frame
# pointers. Nothing of the host but the compiler's own headers is seen. The prefix map keeps the
# directory's name out of the image: two builds anywhere give the same bytes (make repro).
CFLAGS := -std=gnu11 -ffreestanding -mcmodel=kernel -mno-red-zone -mgeneral-regs-only \
	-fno-pic -fno-pie -fno-stack-protector -fno-omit-frame-pointer -fno-strict-aliasing \
	-fno-asynchronous-unwind-tables -O2 -g "-ffile-prefix-map=$(CURDIR)=." $(WARNINGS) -I.
# Stacks have 16 KiB (kernel/thread.c): no function takes more of one than the 256 frames that
# vmalloc handles at a time (mm/vmalloc.c). A checked build needs more.
FRAME_MAX := $(if $(UBSAN),5120,2304)
CFLAGS += -Wframe-larger-than=$(FRAME_MAX)
ifneq ($(UBSAN),)
CFLAGS += -fsanitize=undefined -fno-sanitize-recover=all -DCHECKED
endif
# Asked when a file is compiled, not when this is read: the compiler may not be installed yet.
NOSTDINC = -nostdinc -isystem $$($(CC) -print-file-name=include) -isystem $(O)/include
# No line numbers of assembly: NASM would write the directory's name with them.
NASMFLAGS := -f elf64 --reproducible -I./ $(if $(WERROR),-Werror)
LDFLAGS := -T linker.ld -nostdlib -static -z max-page-size=0x1000 -z noexecstack --build-id=none \
	--orphan-handling=error \
	$(if $(WERROR),--fatal-warnings)

# --- Sources ----------------------------------------------------------------------------------

SRCS := $(sort $(wildcard boot/*.asm boot/*.c arch/x86/*.asm arch/x86/*.c kernel/*.c mm/*.c \
	xen/*.asm xen/*.c tests/kernel/*.c tests/xen/*.c))
CHECKED_SRCS := kernel/ubsan.c kernel/lock_check.c
SRCS := $(if $(UBSAN),$(SRCS),$(filter-out $(CHECKED_SRCS),$(SRCS)))
OBJS := $(SRCS:%=$(O)/obj/%.o)
ELF := $(O)/lazymap.elf

# --- The kernel -------------------------------------------------------------------------------

.PHONY: all
all: $(ELF) ## build/lazymap.elf, the kernel (the default)

# Of the host's headers Xen's public ones, and no others.
XEN_HEADERS ?= /usr/include/xen
$(O)/include/xen: | need-$(BUILD_NEEDS)
	@mkdir -p $(@D)
	@ln -sfn $(XEN_HEADERS) $@

$(O)/obj/%.c.o: %.c $(O)/obj/flags | need-$(BUILD_NEEDS) $(O)/include/xen
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(NOSTDINC) -MMD -MP -c $< -o $@

$(O)/obj/%.asm.o: %.asm $(O)/obj/flags | need-$(BUILD_NEEDS)
	$(call say,NASM,$<)
	@mkdir -p $(@D)
	$(Q)$(NASM) $(NASMFLAGS) -MD $(@:.o=.d) -MP -MT $@ $< -o $@

-include $(OBJS:.o=.d)

# Linked twice: the first image tells where every function lies, the second holds that table, for
# backtraces. The table follows all code, so no function moves between the two.
$(O)/lazymap.pass1: $(OBJS) $(O)/obj/symbols1.o linker.ld $(O)/link/flags
	$(call say,LD,$@)
	$(Q)$(LD) $(LDFLAGS) $(OBJS) $(O)/obj/symbols1.o -o $@

$(ELF): $(O)/lazymap.pass1 $(O)/obj/symbols2.o
	$(call say,LD,$@)
	$(Q)$(LD) $(LDFLAGS) $(OBJS) $(O)/obj/symbols2.o -o $@
	$(Q)$(NM) -n $@ | $(PYTHON) tools/symbols.py | cmp - $(O)/obj/symbols2.asm

$(O)/obj/symbols1.asm: tools/symbols.py | need-$(BUILD_NEEDS)
	@mkdir -p $(@D)
	$(Q)$(PYTHON) tools/symbols.py < /dev/null > $@

$(O)/obj/symbols2.asm: tools/symbols.py $(O)/lazymap.pass1
	$(call say,SYMBOLS,$@)
	$(Q)$(NM) -n $(O)/lazymap.pass1 | $(PYTHON) tools/symbols.py > $@

$(O)/obj/symbols%.o: $(O)/obj/symbols%.asm
	$(Q)$(NASM) $(NASMFLAGS) $< -o $@

# A file that is rewritten only when the tools or flags differ from the last time; all that depends
# on it is then made anew.
$(O)/obj/flags: flags = $(CC) $(CFLAGS) $(NASM) $(NASMFLAGS)
$(O)/link/flags: flags = $(LD) $(LDFLAGS) $(OBJS)
$(O)/host/flags: flags = $(HOSTCC) $(HOST_CFLAGS)
$(O)/fuzz/flags: flags = $(FUZZ_CFLAGS)
$(O)/%/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(flags)' | cmp -s - $@ || echo '$(flags)' > $@

.PHONY: FORCE
FORCE:

# What goes onto the ISO: GRUB would load the debugging sections, too.
$(O)/lazymap.stripped: $(ELF)
	$(Q)$(STRIP) --strip-all $< -o $@

.PHONY: iso
iso: $(O)/lazymap.iso ## build/lazymap.iso, for CD and USB stick, BIOS and UEFI
$(O)/lazymap.iso: $(O)/lazymap.stripped iso/grub.cfg tools/mkiso.sh | need-iso
	$(call say,ISO,$@)
	$(Q)tools/mkiso.sh $< $@

# --- Running ----------------------------------------------------------------------------------

# Through the environment, so that any quote may stand in them.
export APPEND QEMU_ARGS GDB_ARGS TRACE_RUN
RUN = $(PYTHON) tests/harness/run.py --build $(O) --smp $(SMP) --mem $(MEM) --cpu $(CPU) \
	--kind $(MACHINE) --accel $(ACCEL) --append="$$APPEND" --extra="$$QEMU_ARGS"

.PHONY: run run-iso run-usb run-uefi run-bochs run-xen run-domu demo gdb trace
run: $(ELF) | need-run ## boot in QEMU; leave with Ctrl-A X; input from a pipe is typed, then exit
	@$(RUN) --door pvh

run-iso: iso | need-run ## the same, by GRUB from the ISO with a BIOS
	@$(RUN) --door bios

run-usb: iso | need-run need-uefi ## the same, from the ISO as a USB stick, with UEFI
	@$(RUN) --door usb-uefi

run-uefi: iso | need-run need-uefi ## the same, by GRUB from the ISO with UEFI
	@$(RUN) --door uefi

run-bochs: iso | need-bochs ## the same, in Bochs (slower, and stricter than QEMU)
	@$(RUN) --door bochs

gdb: $(ELF) | need-run need-gdb ## boot in QEMU under gdb, stopped at kernel_main
	@$(RUN) --door pvh --gdb="$$GDB_ARGS"

trace: $(ELF) | need-run ## build/trace.json: what the mapping engine did, for Perfetto
	@$(RUN) --door pvh --trace="$$TRACE_RUN"

run-xen: $(ELF) xen-dom0 | need-run ## boot under Xen, as its first domain (dom0)
	@$(RUN) --door xen

run-domu: $(ELF) xen-domu | need-run ## the same, in a domain made by xl create -c; TYPE=pvh or pv
	@$(RUN) --door domu-$(TYPE)

demo: $(ELF) xen-dom0 | need-run ## all demonstrations, on the bare machine and as a guest of Xen
	@APPEND='run="demo all"'; $(RUN) --door pvh </dev/null
	@APPEND='run="demo all"'; $(RUN) --door xen </dev/null

# --- Set-up -----------------------------------------------------------------------------------

# need-SET: the programs of that set (tools/packages.txt) are there, or are installed now.
.PHONY: doctor
need-%: FORCE
	@tools/setup.sh $*

doctor: ## look for all that the targets need; installs nothing
	@tools/setup.sh --look

# --- The tree itself --------------------------------------------------------------------------

.PHONY: lint format repro
lint: | need-lint ## include rules, formats, leftovers; plants violations first and must see them
	@$(PYTHON) tools/lint.py

format: | need-lint ## let clang-format rewrite the C files
	@$(PYTHON) tools/lint.py --format

repro: | need-$(BUILD_NEEDS) need-iso ## build in two directories; ELF and ISO must be the same
	@tools/repro.sh

# For editors and analysers: how each C file is compiled.
compile_commands.json: FORCE ## for editors: how each file is compiled
	@$(PYTHON) tools/compile_commands.py \
		'$(CC) $(CFLAGS)' $(filter %.c,$(SRCS)) \
		-- '$(HOSTCC) $(HOST_CFLAGS)' $(wildcard tests/host/*.c tests/fuzz/*.c) > $@

# --- Housekeeping -----------------------------------------------------------------------------

.PHONY: help clean
help: ## this list
	@sed -n 's/^#   \([A-Z_]*=.*\)/  \1/p' Makefile
	@sed -n 's/^\([a-z_.-]*\):[^#]*## \(.*\)/  make \1	\2/p' Makefile tests/tests.mk \
		tests/*/*.mk tools/compare/compare.mk | expand -t 32

clean: ## remove what was built
	rm -rf $(O)

include tests/tests.mk
include tests/mutants/mutants.mk
include tools/compare/compare.mk
include tools/xen/xen.mk
