# SPDX-License-Identifier: MIT
#
# `make compare`: our figures and Linux's side by side. Debian's kernel is fetched and unpacked
# below $(O)/compare (fetch.sh), our module for it is built (module.sh) and put into an initramfs
# (initramfs.py); compare.py boots both kernels in the same QEMU, prints the tables, and writes
# docs/results. The first run fetches some 85 MB.

COMPARE := $(O)/compare

.PHONY: compare
compare: $(ELF) $(COMPARE)/initramfs | need-run ## our figures beside Linux's
	@$(PYTHON) tools/compare/compare.py --build $(O) --mem $(MEM) --cpu $(CPU) --accel $(ACCEL)

$(COMPARE)/linux/version: tools/compare/fetch.sh tools/debs.sh | need-linux
	@tools/compare/fetch.sh $(O)/debs $(@D)

$(COMPARE)/module/lazybench.ko: $(COMPARE)/linux/version $(wildcard tools/compare/linux/*) \
		tools/compare/module.sh
	$(call say,KBUILD,$@)
	$(Q)tools/compare/module.sh $(COMPARE)/linux tools/compare/linux $(@D)

$(COMPARE)/init: tools/compare/init.c | need-linux
	$(call say,HOSTCC,$<)
	@mkdir -p $(@D)
	$(Q)$(HOSTCC) -O2 $(WARNINGS) -static $< -o $@

$(COMPARE)/initramfs: $(COMPARE)/init $(COMPARE)/module/lazybench.ko \
		tools/compare/initramfs.py tools/cpio.py
	$(call say,CPIO,$@)
	$(Q)$(PYTHON) tools/compare/initramfs.py $@ $(COMPARE)/init $(COMPARE)/module/lazybench.ko
