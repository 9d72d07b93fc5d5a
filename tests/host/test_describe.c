// SPDX-License-Identifier: MIT
/*
 * mm/describe.c against mm/describe.h: one sentence for any address, without a lock, without a
 * fault, and never longer than its buffer. Last, random addresses near everything there is.
 */
// links: mm/*.c tests/host/sim*.c
#include "mm/area.h"
#include "mm/describe.h"
#include "mm/frame.h"
#include "mm/pagetable.h"
#include "mm/vmap.h"
#include "tests/host/sim.h"

static char text[256];

/* => the sentence for va holds all that `words` (separated by |) name */
static void says(vaddr_t va, const char *words)
{
	char copy[128];
	bool all = true;
	int n = mm_describe(va, text, sizeof(text));

	snprintf(copy, sizeof(copy), "%s", words);
	for (char *w = strtok(copy, "|"); w; w = strtok(NULL, "|"))
		all &= strstr(text, w) != NULL;
	if (!ok(all && n == (int)strlen(text) && !strchr(text, '\n'), "%#lx: %s", va, words))
		printf("# it says: %s\n", text);
}

static void test_sentences(void)
{
	struct frame *f[3];
	vaddr_t live, gone;
	struct area *a;

	sim_boot(&(struct sim_config){.direct_limit = 24 * MiB});
	KASSERT(!frame_alloc_many(f, 3, 0), "frames");
	live = (vaddr_t)vmap(f, 3, VM_W);
	gone = (vaddr_t)vmap(f, 2, VM_W);
	says(live, "live|'vmap'|+3 pages");
	says(live + 3 * PAGE_SIZE - 1, "live|'vmap'");
	says(live + 3 * PAGE_SIZE, "guard|'vmap'");
	vunmap((void *)gone);
	says(gone + PAGE_SIZE, "unmapped|page 1|'vmap'");
	says(gone + 3 * PAGE_SIZE, "free");
	says(VMAP_END - 1, "free");
	says(0, "NULL");
	says(0xfff, "NULL|0xfff");
	says(0x1000, "user");
	says(1ull << 47, "canonical");
	says(0xffff7fffffffffff, "canonical");
	says(0xffff800000000000, "kernel half");
	says(DIRECT_BASE + frame_paddr(f[0]), "direct map|in use");
	says(DIRECT_BASE + pfn_to_paddr(kernel_root), "direct map|page table");
	says(DIRECT_BASE, "direct map|not RAM");
	says(DIRECT_BASE + 30 * MiB, "direct map|directmap=");
	says(DIRECT_BASE + sim_image.text - IMAGE_BASE, "direct map|reserved");
	says(DIRECT_BASE + DIRECT_SIZE - 1, "direct map|not RAM");
	says(FRAMES_BASE + 0x1234 * sizeof(struct frame) + 5, "frame array|0x1234");
	says(sim_image.text + 5, "image|text");
	says(sim_image.rodata, "image|read-only");
	says(sim_image.data, "image|data");
	says(sim_image.end - 1, "image|data");
	says(sim_image.end, "image|no section");
	says(sim_image.stack_guard + 8, "guard|overflowed");
	says(~0ull, "no region");
	a = area_alloc(1, 1, AREA_ANYWHERE, AREA_RECORDS); /* not named yet */
	mm_describe(a->start, text, sizeof(text));
	ok(!strstr(text, "(null)"), "an area in the making: %s", text);
	area_free(a);
	vm_unmap_aliases();
	vunmap((void *)live);
	frame_free_many(f, 3);
}

/* It is called by a panic, which may have interrupted a holder of any lock. */
static spinlock_t lock = SPINLOCK_INIT("test");

static void test_context(void)
{
	struct frame *f = NULL;
	vaddr_t va;
	u64 steps;

	sim_boot(&(struct sim_config){.cpus = 2});
	f = frame_alloc(0, 0);
	va = (vaddr_t)vmap(&f, 1, VM_W);
	spin_lock(&lock);
	steps = sim.steps;
	mm_describe(va, text, sizeof(text));
	ok(sim.steps - steps < 10, "no lock is taken");
	spin_unlock(&lock);
	for (size_t size = 0; size < 40; size++) {
		int n;

		memset(text, 'x', sizeof(text));
		n = mm_describe(va, text, size);
		if (n < 40 || text[size] != 'x' || (size && strlen(text) != size - 1))
			ok(false, "a buffer of %lu bytes", size);
	}
	ok(true, "short buffers hold what fits");
	vunmap((void *)va);
	frame_free(f, 0);
}

static void test_random(void)
{
	static const vaddr_t near[] = {
		0,	  1ull << 47,  0xffff800000000000, DIRECT_BASE, VMAP_BASE,
		VMAP_END, FRAMES_BASE, IMAGE_BASE,	   ~0ull,	DIRECT_BASE + 33 * MiB};

	sim_boot(&(struct sim_config){.seed = 7});
	for (unsigned i = 0; i < 20000; i++) {
		u64 bits = (u64)sim_random(~0u) << 32 | sim_random(~0u);
		vaddr_t va =
			near[sim_random(ARRAY_SIZE(near))] + (bits >> sim_random(64)) - (bits & 1);

		if (mm_describe(va, text, sizeof(text)) < 5)
			ok(false, "%#lx: %s", va, text);
	}
	ok(true, "20000 addresses have a meaning");
}

int main(void)
{
	sim_scenario("sentences", test_sentences);
	sim_scenario("context", test_context);
	sim_scenario("random", test_random);
	return done_testing();
}
