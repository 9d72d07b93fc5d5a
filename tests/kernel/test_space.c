// SPDX-License-Identifier: MIT
/*
 * The address space as the processor sees it: not what the tables say (mm_check reads those) but
 * what happens when one touches it.
 */
#include "kernel/main.h"
#include "kernel/string.h"
#include "kernel/test.h"
#include "mm/describe.h"
#include "mm/early.h"
#include "mm/frame.h"
#include "mm/pagetable.h"
#include "mm/space.h"

static const char constant[] = "read-only";

KTEST(space, null_page_faults)
{
	EXPECT(probe_read((void *)8, NULL), "a NULL pointer's neighbourhood could be read");
	EXPECT(probe_read((void *)(PAGE_SIZE - 1), NULL), "the end of page 0 could be read");
}

KTEST(space, boot_identity_map_is_gone)
{
	EXPECT(probe_read((void *)(1 * MiB), NULL), "the loader's identity map is still there");
}

KTEST(space, text_and_rodata_cannot_be_written)
{
	EXPECT(probe_write((void *)kernel_main, 0xcc), "kernel text was written");
	EXPECT(probe_write((void *)(vaddr_t)constant, 'x'), "read-only data was written");
	EXPECT_EQ(strcmp(constant, "read-only"), 0);
}

KTEST(space, direct_map_does_not_open_the_text)
{
	void *alias = phys_to_virt((vaddr_t)kernel_main - IMAGE_BASE);

	EXPECT(!probe_read(alias, NULL), "the image's frames are in the direct map");
	EXPECT(probe_write(alias, 0xcc), "kernel text was written through the direct map");
}

KTEST(space, boot_stack_has_a_guard)
{
	vaddr_t guard = space_image()->stack_guard;

	EXPECT(probe_read((void *)guard, NULL), "the guard page could be read");
	EXPECT(probe_read((void *)(guard + PAGE_SIZE - 1), NULL),
	       "the guard page's end could be read");
	EXPECT(!probe_read((void *)(guard + PAGE_SIZE), NULL), "the stack itself could not");
}

KTEST(space, every_frame_below_the_limit_is_in_the_direct_map)
{
	for (unsigned i = 0; i < early_nr_ram; i++) {
		paddr_t first = early_ram[i].start << PAGE_SHIFT,
			last = (early_ram[i].end << PAGE_SHIFT) - 1;
		paddr_t pa;

		if (last >= space_direct_limit())
			continue;
		EXPECT(pt_translate(kernel_root, DIRECT_BASE + first, &pa) && pa == first, "%#lx",
		       first);
		EXPECT(pt_translate(kernel_root, DIRECT_BASE + last, &pa) && pa == last, "%#lx",
		       last);
		EXPECT(!probe_read(phys_to_virt(first), NULL), "%#lx", first);
		EXPECT(!probe_read(phys_to_virt(last), NULL), "%#lx", last);
	}
}

KTEST(space, beyond_ram_nothing_is_mapped)
{
	paddr_t top = early_ram[early_nr_ram - 1].end << PAGE_SHIFT;

	EXPECT(probe_read(phys_to_virt(top), NULL), "%#lx is not RAM, yet it could be read", top);
	EXPECT(!frame_valid(paddr_to_pfn(top)), "there is a frame at the end of RAM");
}

/* The words a panic would print, for one address of each kind. */
KTEST(space, addresses_are_described)
{
	const struct {
		vaddr_t va;
		const char *word;
	} want[] = {
		{8, "null page"},
		{0x0000800000000000, "canonical"},
		{0x400000, "user half"},
		{DIRECT_BASE + early_ram[0].start * PAGE_SIZE, "direct map"},
		{VMAP_END - PAGE_SIZE, "free"},
		{FRAMES_BASE, "frame array"},
		{(vaddr_t)kernel_main, "kernel_main"},
		{(vaddr_t)constant, "read-only data"},
		{space_image()->stack_guard, "guard page"},
	};
	char text[160];

	for (unsigned i = 0; i < ARRAY_SIZE(want); i++) {
		bool found = false;

		mm_describe(want[i].va, text, sizeof(text));
		for (const char *p = text; *p && !found; p++)
			found = !strncmp(p, want[i].word, strlen(want[i].word));
		EXPECT(found, "%#lx is described as '%s', without '%s'", want[i].va, text,
		       want[i].word);
	}
}
