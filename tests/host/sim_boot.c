// SPDX-License-Identifier: MIT
/* How mm/ is brought up on the simulated machine. */
#include "mm/early.h"
#include "mm/kmap.h"
#include "mm/run_queued.h"
#include "mm/space.h"
#include "mm/vmap.h"
#include "tests/host/sim.h"

/*
 * The image: 64 KiB of text, rodata and data each, from 1 MiB on; the second page of data is the
 * guard.
 */
#define IMAGE_START (IMAGE_BASE + 1 * MiB)
const struct kernel_image sim_image = {
	.text = IMAGE_START,
	.text_end = IMAGE_START + 64 * KiB,
	.rodata = IMAGE_START + 64 * KiB,
	.rodata_end = IMAGE_START + 128 * KiB,
	.data = IMAGE_START + 128 * KiB,
	.end = IMAGE_START + 192 * KiB,
	.stack_guard = IMAGE_START + 132 * KiB,
};

void sim_early(const struct sim_config *c)
{
	for (unsigned i = 0; i < ARRAY_SIZE(c->ram) && c->ram[i].end; i++)
		KASSERT(!early_add_ram(c->ram[i].start, c->ram[i].end), "RAM");
	KASSERT(!early_reserve(0, 1 * MiB), "reserve");
	KASSERT(!early_reserve(sim_image.text - IMAGE_BASE, sim_image.end - IMAGE_BASE), "reserve");
}

void sim_boot(const struct sim_config *c)
{
	const char *why = "";
	struct sim_config full = *c;
	u64 max_pages = full.lazy_max_pages ? full.lazy_max_pages : 1024;

	if (!full.ram[0].end)
		full.ram[0] = (struct sim_range){1 * MiB, 33 * MiB};
	sim_power_on(&full);
	if (full.max_leaf_level)
		sim_mmu_ops.max_leaf_level = full.max_leaf_level;
	if (full.deferred) {
		sim.deferred = true;
		sim_mmu_ops.set_run = run_set_queued;
		sim_mmu_ops.clear_run = run_clear_queued;
		sim_mmu_ops.clear_begin = run_clear_begin_queued;
		sim_mmu_ops.clear_end = run_clear_end_queued;
		sim_mmu_ops.empty_table = sim_empty_table;
	}
	if (full.platform)
		full.platform();
	sim_early(&full);
	KASSERT(!space_init(&sim_image, full.direct_limit ? full.direct_limit : ~0ull, &why), "%s",
		why);
	vmap_init(full.eager ? LAZY_OFF : full.keep ? LAZY_PTE : LAZY_TLB, max_pages);
	sim_mm_is_up = true;
	for (unsigned cpu = 0; cpu < MAX(full.cpus, 1u); cpu++) {
		KASSERT(!kmap_local_init_cpu(cpu), "no memory for CPU %u's slots", cpu);
		if (cpu)
			sim_cpu_power(cpu);
		sim_on(cpu);
		KASSERT(!mmu->load_root(kmap_local_root(cpu)), "CPU %u's own root", cpu);
		if (cpu)
			sim_cpu_join(cpu);
	}
	lazy_set_max(max_pages);
	sim_on(0);
}
