# SPDX-License-Identifier: MIT
#
# What boots Xen: Debian's packages are fetched once into $(O)/debs, and unpacked into $(O)/xen
# (fetch.sh). Linux as dom0 is unpacked once more, for Xen would do it slowly at each boot
# (vmlinux.py), and gets a file system with xl (initramfs.py, init.sh). How they are put together is
# told by tests/harness/xen.py.

XEN := $(O)/xen

.PHONY: xen-dom0 xen-domu
xen-dom0: $(XEN)/version
xen-domu: $(XEN)/version $(XEN)/vmlinux $(XEN)/initramfs

$(XEN)/version: tools/xen/fetch.sh tools/debs.sh | need-xen
	@tools/xen/fetch.sh $(O)/debs $(@D)

$(XEN)/vmlinux: $(XEN)/version tools/xen/vmlinux.py
	$(call say,UNPACK,$@)
	$(Q)$(PYTHON) tools/xen/vmlinux.py $(XEN)/vmlinuz $@

$(XEN)/initramfs: $(XEN)/version $(wildcard tools/xen/init*) tools/cpio.py | need-domu
	$(call say,CPIO,$@)
	$(Q)$(PYTHON) tools/xen/initramfs.py $@ $(XEN)
