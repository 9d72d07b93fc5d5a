// SPDX-License-Identifier: MIT
/*
 * Changing the rights of a live mapping. That the entry says "read-only" is the easy half; the
 * other is that no CPU writes on through the translation it remembers when vm_protect() has
 * returned.
 */
#include "kernel/errno.h"
#include "mm/vmalloc.h"
#include "tests/kernel/stage.h"
#include "tests/kernel/watch.h"

#define MANY 600

static struct frame *pages[MANY];

static void protect_under(enum lazy_policy policy, unsigned n)
{
	struct stage s;
	struct watch w;
	u8 *va;

	if (!stage_begin(&s, pages, n, policy))
		return;
	va = vmap(pages, n, VM_W);
	EXPECT(va, "no mapping");
	watch_begin(&w, va + (n - 1) * PAGE_SIZE);
	EXPECT_EQ(watch_write(&w, 0x11), cpus_online().bits);
	EXPECT_EQ(vm_protect(va, VM_R), 0);
	EXPECT_EQ(watch_write(&w, 0x22), 0);
	EXPECT_EQ(*byte_of(pages[n - 1]), 0x11);
	EXPECT_EQ(watch_read(&w), cpus_online().bits);
	EXPECT(probe_write(va, 0x22), "the first page took a write");
	EXPECT_EQ(vm_protect(va, VM_W), 0);
	EXPECT_EQ(watch_write(&w, 0x33), cpus_online().bits);
	EXPECT_EQ(*byte_of(pages[n - 1]), 0x33);
	vunmap(va);
	watch_end(&w);
	stage_end(&s);
}

KTEST(protect, read_only_on_every_cpu_when_it_returns)
{
	enum lazy_policy policy;

	for_each_policy(policy) protect_under(policy, 3);
}

KTEST(protect, large_areas_too)
{
	protect_under(LAZY_TLB, MANY);
}

/* What was mapped writable and protected must not come back writable, nor the other way round. */
KTEST(protect, revival_minds_the_rights)
{
	struct stage s;
	u8 *va;

	if (!stage_begin(&s, pages, 1, LAZY_PTE))
		return;
	va = vmap(pages, 1, VM_W);
	EXPECT_EQ(vm_protect(va, VM_R), 0);
	vunmap(va);
	va = vmap(pages, 1, VM_W);
	EXPECT(!probe_write(va, 1), "mapped writable, but revived as read-only");
	vunmap(va);
	va = vmap(pages, 1, VM_R);
	EXPECT_EQ(vm_protect(va, VM_W), 0);
	vunmap(va);
	va = vmap(pages, 1, VM_R);
	EXPECT(probe_write(va, 2), "mapped read-only, but revived as writable");
	vunmap(va);
	stage_end(&s);
}

KTEST(protect, large_pages_too)
{
	u8 *va = vmalloc_huge(4 * MiB);
	struct watch w;

	if (!va || level_at(va) != 2) {
		vfree(va);
		test_skip("no aligned 2 MiB of frames are free");
		return;
	}
	watch_begin(&w, va + 3 * MiB);
	EXPECT_EQ(watch_write(&w, 0x11), cpus_online().bits);
	EXPECT_EQ(vm_protect(va, VM_R), 0);
	EXPECT_EQ(watch_write(&w, 0x22), 0);
	EXPECT_EQ(watch_read(&w), cpus_online().bits);
	EXPECT_EQ(w.seen[0], 0x11);
	EXPECT_EQ(vm_protect(va, VM_W), 0);
	EXPECT_EQ(watch_write(&w, 0x33), cpus_online().bits);
	watch_end(&w);
	vfree(va);
}

KTEST(protect, wrong_addresses_are_refused)
{
	u8 *va, *sparse;

	if (!take_frames(pages, 2))
		return;
	va = vmap(pages, 2, VM_W);
	EXPECT_EQ(-vm_protect(va + PAGE_SIZE, VM_R), EINVAL);
	EXPECT_EQ(-vm_protect(va + 1, VM_R), EINVAL);
	EXPECT_EQ(-vm_protect((void *)DIRECT_BASE, VM_R), EINVAL);
	EXPECT_EQ(-vm_protect(NULL, VM_R), EINVAL);
	EXPECT(!probe_write(va, 1), "refused, but done");
	vunmap(va);
	EXPECT_EQ(-vm_protect(va, VM_R), EINVAL);
	sparse = vm_area_reserve(2, 1, "sparse");
	EXPECT(sparse, "no area");
	EXPECT_EQ(-vm_protect(sparse, VM_R), EINVAL);
	vm_area_free(sparse);
	frame_free_many(pages, 2);
}
