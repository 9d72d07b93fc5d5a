// SPDX-License-Identifier: MIT
/*
 * The Xen PV door's hand-over: the start info page, and the list that says for each of the guest's
 * frames (pfn) where it is in the machine (mfn). What the domain builder has laid out (Xen: xen.h,
 * "Start-of-day memory layout") begins at pfn 0, and is mapped at IMAGE_BASE + physical address, as
 * the kernel itself is; so addresses in the start info become physical ones by a subtraction.
 *
 * Memory is what the list has frames for. It may have holes: pfns that were given no frame.
 */
#include "boot/xen.h"
#include "boot/boot_info.h"
#include "kernel/errno.h"
#include "kernel/string.h"
#include "mm/layout.h"

_Static_assert(sizeof(((struct start_info *)0)->cmd_line) == BOOT_CMDLINE_MAX, "1 KiB each");

/* => 0; -EFAULT; *there: pfn has a frame */
static int has_frame(const struct start_info *si, u64 pfn, phys_reader read, bool *there)
{
	const void *p = read(si->mfn_list - IMAGE_BASE + pfn * sizeof(u64), sizeof(u64));
	u64 mfn;

	if (!p)
		return -EFAULT;
	memcpy(&mfn, p, sizeof(mfn));
	*there = !(mfn & XEN_MFN_INVALID);
	return 0;
}

static int read_memory(struct boot_info *bi, const struct start_info *si, phys_reader read,
		       const char **why)
{
	u64 start = 0; /* of the present run of frames, or of holes */
	bool was = false;

	if (si->nr_pages > BOOT_PHYS_LIMIT >> PAGE_SHIFT)
		return boot_refuse(why, -EINVAL, "the start info claims more than 4 PiB of memory");
	for (u64 pfn = 0; pfn <= si->nr_pages; pfn++) {
		bool is = false;
		int err = 0;

		if (pfn < si->nr_pages && has_frame(si, pfn, read, &is))
			return boot_refuse(why, -EFAULT,
					   "the list of frames lies outside of memory");
		if (was && !is)
			err = boot_info_add_range(bi, start << PAGE_SHIFT,
						  (pfn - start) << PAGE_SHIFT, MEM_USABLE, why);
		if (err)
			return err;
		if (was != is)
			start = pfn;
		was = is;
	}
	return 0;
}

static int read_module(struct boot_info *bi, const struct start_info *si, const char **why)
{
	bool by_pfn = si->flags & SIF_MOD_START_PFN;
	struct boot_module *m;

	if (!si->mod_len)
		return 0;
	if (by_pfn ? si->mod_start >= BOOT_PHYS_LIMIT >> PAGE_SHIFT : si->mod_start < IMAGE_BASE)
		return boot_refuse(why, -EINVAL, "the module lies outside of memory");
	return boot_info_add_module(
		bi, by_pfn ? si->mod_start << PAGE_SHIFT : si->mod_start - IMAGE_BASE, si->mod_len,
		&m, why);
}

int boot_info_from_xen(struct boot_info *bi, paddr_t pa, phys_reader read, const char **why)
{
	const void *p = read(pa, sizeof(struct start_info));
	struct start_info si;
	int err;

	memset(bi, 0, sizeof(*bi));
	bi->door = "xen-pv";
	if (!p)
		return boot_refuse(why, -EFAULT, "Xen's start info lies outside of memory");
	memcpy(&si, p, sizeof(si));
	if (strncmp(si.magic, XEN_START_MAGIC, sizeof(XEN_START_MAGIC) - 1))
		return boot_refuse(why, -EINVAL, "Xen's start info has a wrong magic number");
	if (strnlen((const char *)si.cmd_line, sizeof(si.cmd_line)) == sizeof(si.cmd_line))
		return boot_refuse(why, -E2BIG, "the command line has no end: shorten it");
	memcpy(bi->cmdline, si.cmd_line, sizeof(bi->cmdline));
	si.magic[sizeof(si.magic) - 1] = '\0';
	strlcpy(bi->loader, si.magic, sizeof(bi->loader));
	err = read_memory(bi, &si, read, why);
	if (!err)
		err = read_module(bi, &si, why);
	return err;
}
