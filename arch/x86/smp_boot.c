// SPDX-License-Identifier: MIT
/*
 * Starting the other CPUs. INIT puts a CPU into wait-for-SIPI; a start-up IPI makes it begin in
 * real mode at a page below 1 MiB, where boot/trampoline.asm takes it to 64-bit mode and to
 * ap_entry (ap_entry.asm). All get their INIT first, so that the 10 ms it needs pass once; then
 * they are started one after the other, as they share the page and what it leads to.
 *
 * A CPU may be slow, or dead, or slow enough to seem dead and arrive when its place has been
 * given to another. So there is one seat with a lock on the door: the boot CPU opens it for one
 * APIC id, and the CPU must swap that id for SEAT_TAKEN before it touches the stack in it. Who
 * finds the seat closed, or open for another, halts in ap_entry for good. A seat nobody has taken
 * in time is closed by the same atomic swap, and then that CPU is left out. One that was taken
 * must end with the CPU online: by then it runs our code, and not to arrive is a bug, hence the
 * watchdog's panic.
 *
 * Afterwards the page gets a loop that halts, for who comes later still. The trampoline's page
 * tables are freed only when nobody can be under way on them.
 *
 * References: SDM vol. 3A, 8.4.4 (the protocol), 10.6.1 (INIT and start-up IPIs).
 */
#include "arch/x86/smp_boot.h"
#include "arch/x86/apic.h"
#include "arch/x86/cpu.h"
#include "arch/x86/idt.h"
#include "arch/x86/timer.h"
#include "boot/trampoline.h"
#include "kernel/panic.h"
#include "kernel/printk.h"
#include "kernel/smp.h"
#include "kernel/string.h"
#include "kernel/thread.h"
#include "kernel/watchdog.h"
#include "mm/mmu_ops.h"
#include "mm/shootdown.h"
#include "mm/kmap.h"
#include "mm/space.h"

#define INIT_WAIT_US	   10000   /* 8.4.4.1: 10 ms between INIT and start-up */
#define STARTUP_RETRY_US   10000   /* a second start-up IPI if the first had no effect by then */
#define STARTUP_GIVE_UP_US 2000000 /* an emulated CPU may wait that long for a real one */

/* Ids from 255 on can be addressed, and owned, in x2APIC mode only: 10.12.2. */
#define XAPIC_MAX_ID 254

/* What ap_entry.asm knows: offsets and values. */
struct ap_seat {
	atomic_t door; /* SEAT_CLOSED, SEAT_OPEN + APIC id, SEAT_TAKEN, SEAT_READ */
	u64 stack_top;
	struct cpu *cpu;
};

#define SEAT_CLOSED 0ull
#define SEAT_OPEN   (1ull << 32)
#define SEAT_TAKEN  (2ull << 32)
#define SEAT_READ   (3ull << 32) /* the CPU needs the seat no more */

_Static_assert(offsetof(struct ap_seat, door) == 0, "ap_entry.asm");
_Static_assert(offsetof(struct ap_seat, stack_top) == 8, "ap_entry.asm");
_Static_assert(offsetof(struct ap_seat, cpu) == 16, "ap_entry.asm");

static struct ap_seat seat;
static paddr_t trampoline_pa;

/*
 * The trampoline pushes a word before it goes to ap_entry; two CPUs that arrive together both do
 * it here.
 */
static u64 scratch_stack[2] __aligned_to(16);

/* cli; hlt; jmp back: in real mode, for who comes too late */
static const u8 park_code[] = {0xfa, 0xf4, 0xeb, 0xfc};

void ap_entry(struct ap_seat *s); /* ap_entry.asm */
void ap_main(struct cpu *c) __noreturn;

/*
 * A CPU's first C code: on its idle thread's stack, interrupts off, trampoline's page tables and
 * GDT.
 */
void ap_main(struct cpu *c)
{
	mmu->load_root(kmap_local_root(c->id));
	cpu_init(c);
	idt_load();
	apic_init_cpu();
	smp_set_online();
	shootdown_cpu_online();
	timer_start_cpu();
	idle_loop();
}

static u8 *trampoline_page(void)
{
	return phys_to_virt(trampoline_pa);
}

static int trampoline_prepare(void)
{
	struct trampoline_args *args = (void *)(trampoline_page() + TRAMPOLINE_ARGS);
	pfn_t root;
	int err = space_trampoline_root(trampoline_pa, &root);

	if (err) {
		space_trampoline_root_free();
		return err;
	}
	memcpy(trampoline_page(), trampoline_start, TRAMPOLINE_SIZE);
	*args = (struct trampoline_args){
		.cr3 = (u32)pfn_to_paddr(root),
		.stack_top = (u64)(scratch_stack + ARRAY_SIZE(scratch_stack)),
		.entry = (u64)ap_entry,
		.arg = (u64)&seat,
	};
	return 0;
}

static bool door_leaves(u64 value, u64 us)
{
	u64 start = tsc_now();

	while (atomic_read(&seat.door) == value) {
		if (tsc_to_us(tsc_now() - start) >= us)
			return false;
		cpu_relax();
	}
	return true;
}

static bool seat_is_taken(u32 id)
{
	u64 open = SEAT_OPEN + id;

	atomic_set(&seat.door, open);
	apic_send_startup(id, trampoline_pa);
	if (door_leaves(open, STARTUP_RETRY_US))
		return true;
	apic_send_startup(id, trampoline_pa);
	return door_leaves(open, STARTUP_GIVE_UP_US) ||
	       !atomic_cmpxchg(&seat.door, open, SEAT_CLOSED);
}

static void wait_online(struct cpu *c)
{
	u64 start = tsc_now();

	while (atomic_read(&seat.door) != SEAT_READ || !cpumask_has(cpus_online(), c->id)) {
		if (watchdog_expired(start))
			panic("cpu %u (APIC id %u) has started, but does not come online", c->id,
			      c->apic_id);
		cpu_relax();
	}
	atomic_set(&seat.door, SEAT_CLOSED);
}

static bool addressable(u32 id)
{
	return id <= XAPIC_MAX_ID || apic_is_x2apic();
}

static bool is_other(u32 id)
{
	return id != cpus[0].apic_id;
}

/*
 * The struct and the stacks the next CPU gets; one that did not come leaves them to its
 * successor.
 */
static int prepare_cpu(struct cpu *c)
{
	int err;

	if (seat.cpu == c)
		return 0;
	c->id = (u32)(c - cpus);
	err = cpu_alloc_stacks(c);
	if (!err)
		err = kmap_local_init_cpu(c->id);
	if (!err)
		err = thread_create_idle(c, &seat.stack_top);
	if (!err)
		seat.cpu = c;
	return err;
}

/* => CPUs that were called and did not come */
static unsigned start_all(const struct madt_info *madt)
{
	unsigned absent = 0;

	for (unsigned i = 0; i < madt->nr_cpus && nr_cpus < MAX_CPUS; i++) {
		struct cpu *c = &cpus[nr_cpus];
		u32 id = madt->apic_id[i];

		if (!is_other(id))
			continue;
		if (!addressable(id)) {
			printk("smp: the CPU with APIC id %u needs x2APIC; left out\n", id);
			continue;
		}
		if (prepare_cpu(c)) {
			printk("smp: no memory for another CPU; staying with %u\n", nr_cpus);
			break;
		}
		c->apic_id = id;
		if (!seat_is_taken(id)) {
			printk("smp: the CPU with APIC id %u does not answer; left out\n", id);
			absent++;
			continue;
		}
		wait_online(c);
		nr_cpus++;
	}
	return absent;
}

void smp_init(const struct madt_info *madt, paddr_t low_page)
{
	u64 start = tsc_now();

	trampoline_pa = low_page;

	if (madt->nr_left_out)
		printk("smp: %u CPUs beyond the first %u are left out\n", madt->nr_left_out,
		       MAX_CPUS);
	if (madt->nr_cpus < 2 || !apic_ready())
		return;
	if (!low_page || trampoline_prepare()) {
		printk("smp: no memory for the trampoline; staying with one CPU\n");
		return;
	}
	for (unsigned i = 0; i < madt->nr_cpus; i++) {
		if (is_other(madt->apic_id[i]) && addressable(madt->apic_id[i]))
			apic_send_init(madt->apic_id[i]);
	}
	delay_us(INIT_WAIT_US);
	if (!start_all(madt))
		space_trampoline_root_free();
	memcpy(trampoline_page(), park_code, sizeof(park_code));
	printk("smp: %u CPUs online, in %lu us\n", nr_cpus, tsc_to_us(tsc_now() - start));
}
