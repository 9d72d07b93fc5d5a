# SPDX-License-Identifier: MIT
#
# What boots Xen: Debian's packages are fetched once into $(O)/debs, and unpacked into $(O)/xen
# (fetch.sh).

XEN := $(O)/xen

$(XEN)/version: tools/xen/fetch.sh tools/debs.sh | need-xen
	@tools/xen/fetch.sh $(O)/debs $(@D)
