// SPDX-License-Identifier: MIT
/*
 * Holes: no toolstack of today makes a domain with pfns that have no frame, short of mirroring the
 * host's memory map into one of several GiB. So the domain makes them itself, before it looks: it
 * gives frames back to Xen, as a balloon driver does, and notes that in its list. From then on they
 * are holes like any other; an entry that maps one of them Xen refuses.
 *
 * They are spread evenly, so that the first lies in what the early direct map covers and the others
 * beyond, and the long ones are longer than what one page table maps.
 */
#include "xen/trouble.h"
#include "boot/boot_info.h"
#include "kernel/errno.h"
#include "kernel/main.h"
#include "kernel/panic.h"
#include "kernel/printk.h"
#include "xen/hypercall.h"
#include "xen/inject.h"

static u64 refuse_nth;

/* => 0 if the word is not there */
static u64 number_at(const struct start_info *si, const char *key)
{
	u64 n = 0;
	int err = cmdline_get_u64((const char *)si->cmd_line, key, &n);

	if (err && err != -ENOENT)
		refuse_to_start(key, "it takes a number");
	return n;
}

static void give_back(u64 *p2m, u64 pfn)
{
	struct xen_memory_reservation r = {.nr_extents = 1, .domid = DOMID_SELF};
	long done;

	set_xen_guest_handle(r.extent_start, (xen_pfn_t *)&p2m[pfn]);
	done = xen_memory_op(XENMEM_decrease_reservation, &r);
	KASSERT(done == 1, "Xen does not take frame %#lx back: %ld", pfn, done);
	p2m[pfn] = ~0ul;
}

static void make_holes(const struct start_info *si, u64 n, u64 first)
{
	u64 *p2m = (u64 *)si->mfn_list;
	u64 apart = first < si->nr_pages ? (si->nr_pages - first) / n : 0;

	if (n > XEN_HOLES_MAX || apart <= 1ul << (n - 1))
		refuse_to_start("xen_holes=", "at most 12, and less than memory has room for");
	for (u64 i = 0; i < n; i++)
		for (u64 p = 0; p < 1ul << i; p++)
			give_back(p2m, first + i * apart + p);
	printk("xen: %lu holes of 1 to %lu frames in our memory\n", n, 1ul << (n - 1));
}

void xen_trouble_begin(const struct start_info *si, u64 in_use)
{
	u64 holes = number_at(si, "xen_holes");

	if (holes)
		make_holes(si, holes, in_use);
	refuse_nth = number_at(si, "xen_refuse");
	if (refuse_nth)
		inject_arm(refuse_nth, INJECT_ANY, -EINVAL);
}

void xen_trouble_end(void)
{
	u64 asked;

	if (!refuse_nth)
		return;
	asked = inject_disarm();
	printk("xen: of the %lu hypercalls of boot number %lu %s refused\n", asked, refuse_nth,
	       asked < refuse_nth ? "would have been" : "was");
}
