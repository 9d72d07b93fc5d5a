// SPDX-License-Identifier: MIT
/*
 * What invalidating on this CPU drops, and what it does not: global entries, those of other PCIDs.
 * All of it with interrupts off, so that nothing else flushes, and each after a look whether the
 * machine keeps such entries at all: QEMU's TCG drops global ones at every CR3 write and has no
 * PCIDs; Bochs keeps global ones and has PCIDs, but no entry of its TLB outlives a change of them.
 */
#include "arch/x86/cpu.h"
#include "arch/x86/regs.h"
#include "kernel/irq.h"
#include "kernel/platform.h"
#include "kernel/test.h"
#include "kernel/thread.h"
#include "tests/kernel/hidden.h"

/* MOV to CR3 with bit 63 set: nothing is dropped (4.10.4.1). */
#define CR3_KEEP (1ull << 63)

/* => this CPU can read the page under that PCID; only then are there any but 0 */
static bool seen_under(u64 pcid, const struct hidden *h)
{
	const u64 root = read_cr3() & PTE_ADDR;
	bool seen;

	if (!pcid)
		return hidden_seen(h);
	write_cr3(root | pcid | CR3_KEEP);
	seen = hidden_seen(h);
	write_cr3(root | CR3_KEEP);
	return seen;
}

/*
 * => the page can still be read under `pcid` after its entry, global or not, was read there and
 * cleared, and `flush` ran under PCID 0
 */
static bool survives(bool global, u64 pcid, void (*flush)(vaddr_t va))
{
	struct hidden h;
	irqflags_t flags;
	bool alive;

	if (!hidden_map(&h))
		return false;
	if (!global)
		h.at.entry.v &= ~PTE_G;
	flags = irq_save();
	hidden_hide(&h);
	mmu->invalidate_all();
	hidden_show(&h);
	EXPECT(seen_under(pcid, &h), "the page is mapped");
	hidden_hide(&h);
	flush((vaddr_t)h.va);
	alive = seen_under(pcid, &h);
	mmu->invalidate_all();
	h.at.entry.v |= PTE_G;
	hidden_show(&h);
	irq_restore(flags);
	hidden_unmap(&h);
	return alive;
}

static void flush_nothing(vaddr_t va __attribute__((unused)))
{
}

static void flush_page(vaddr_t va)
{
	mmu->invalidate_page(va);
}

static void flush_all(vaddr_t va __attribute__((unused)))
{
	mmu->invalidate_all();
}

static void load_root(vaddr_t va __attribute__((unused)))
{
	u64 flushed = shootdown_flushed(cpu_id());

	mmu->load_root((pfn_t){(read_cr3() & PTE_ADDR) >> PAGE_SHIFT});
	EXPECT_EQ(shootdown_flushed(cpu_id()), flushed); /* it is no full flush: Xen's XSA-292 */
}

/* => false, and the test is skipped: control registers are not ours */
static bool has_control_registers(void)
{
	if (platform != &native_platform)
		test_skip("the control registers are the hypervisor's");
	return platform == &native_platform;
}

static bool keeps_entries(void)
{
	if (survives(true, 0, flush_nothing) && survives(false, 0, flush_nothing))
		return true;
	test_skip("this machine shows no stale entry, so nothing can be proven");
	return false;
}

KTEST(shootdown, invalidation_drops_global_entries)
{
	if (!keeps_entries())
		return;
	EXPECT(!survives(true, 0, flush_page), "invalidate_page left the global entry");
	EXPECT(!survives(false, 0, flush_page), "invalidate_page left the entry");
	EXPECT(!survives(true, 0, flush_all), "invalidate_all left the global entry");
	EXPECT(!survives(false, 0, flush_all), "invalidate_all left the entry");
}

KTEST(shootdown, a_root_load_is_no_flush)
{
	if (!has_control_registers() || !keeps_entries())
		return;
	EXPECT(!survives(false, 0, load_root), "load_root left an entry that is not global");
	if (!survives(true, 0, load_root))
		test_skip("this machine drops global entries at a CR3 write");
}

static void check_control_registers(void *arg)
{
	u64 cr4 = read_cr4(), want = CR4_PGE | (cpu_features.pcid ? CR4_PCIDE : 0);

	EXPECT_EQ(cr4 & (CR4_PGE | CR4_PCIDE), want);
	EXPECT_EQ(read_cr3() & CR3_PCID, 0);
	atomic_fetch_add(arg, 1);
}

KTEST(shootdown, every_cpu_has_global_pages_and_pcid_zero)
{
	atomic_t checked = {0};

	if (!has_control_registers())
		return;
	EXPECT_EQ(run_on_cpus(cpus_online().bits, check_control_registers, &checked), 0);
	EXPECT_EQ(atomic_read(&checked), nr_cpus);
}

KTEST(shootdown, a_full_flush_drops_other_pcids)
{
	if (!has_control_registers())
		return;
	if (!cpu_features.pcid) {
		test_skip("this processor has no PCIDs");
		return;
	}
	if (!survives(false, 1, flush_nothing)) {
		test_skip("this machine keeps no entry of another PCID, so nothing can be proven");
		return;
	}
	EXPECT(!survives(false, 1, flush_all), "invalidate_all left another PCID's entry");
}
