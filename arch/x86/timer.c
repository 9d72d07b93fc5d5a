// SPDX-License-Identifier: MIT
/*
 * Two clocks without a known rate, the TSC and the local APIC timer, are measured against one that
 * has one: the PIT (every PC's, and every emulator's), else ACPI's PM timer, else CPUID says it.
 *
 * The measurement is two readings, a few milliseconds apart, of (reference, TSC, APIC timer). What
 * limits it is not the reference's resolution (0.84 us) but that the three are not read at the same
 * instant: an emulator's thread may lose its CPU in between. So the reference is read between two
 * TSC readings, and of several tries the one with the two closest together counts. And the PIT
 * comes round every 55 ms, unnoticed by a CPU that was stopped for so long: two measurements must
 * agree.
 *
 * Of the PIT we use counter 0, as its gate is always open: counter 2's gate is a bit of port 0x61,
 * which microvm does not have. It is read by latching; its interrupt stays masked.
 *
 * The tick, 100 Hz on every CPU, is the machine's way of keeping promises when nobody asks: each
 * CPU passes a quiet point at least that often (mm/shootdown.c).
 */
#include "arch/x86/timer.h"
#include "arch/x86/apic.h"
#include "arch/x86/io.h"
#include "arch/x86/regs.h"
#include "kernel/cpu.h"
#include "kernel/irq.h"
#include "kernel/printk.h"
#include "kernel/time.h"
#include "mm/shootdown.h"

/* Intel 8254 data sheet. */
#define PIT_HZ		      1193182u
#define PIT_COUNTER0	      0x40
#define PIT_CONTROL	      0x43
#define PIT_COUNTER0_RATE_GEN 0x34 /* counter 0, low then high byte, mode 2, binary */
#define PIT_LATCH_COUNTER0    0x00
#define PIT_MASK	      0xffffu

/* ACPI 6.5, 4.8.3.3; only 24 bits are always there. */
#define PM_TIMER_HZ	3579545u
#define PM_TIMER_MASK	0xffffffu

#define CPUID_TSC	0x15 /* vol. 3A, 18.7.3 */
#define CPUID_FREQUENCY 0x16
#define MHZ		1000000ul

#define MEASURE_US	4000
#define MEASURE_TRIES	5
#define AGREE_WITHIN	128 /* two measurements agree when they differ by less than a 128th */
#define READ_TRIES	5
#define REFERENCE_WAIT \
	10000000ull /* TSC ticks in which a live reference must have moved: 2 ms at 5 GHz */
#define TSC_HZ_GUESS 1000000000ull

u64 tsc_hz = TSC_HZ_GUESS;

static const char *reference_name = "guess";
static u32 apic_ticks_per_tick; /* 0: no tick */

struct reference {
	const char *name;
	u32 hz, mask;
	u32 (*read)(void); /* counts up, modulo mask + 1 */
};

/* One moment, as told by three clocks. */
struct moment {
	u64 tsc;
	u32 reference, apic;
};

static u32 pit_read(void)
{
	u32 low;

	outb(PIT_CONTROL, PIT_LATCH_COUNTER0);
	low = inb(PIT_COUNTER0);
	return PIT_MASK - (low | (u32)inb(PIT_COUNTER0) << 8); /* it counts down */
}

static u16 pm_timer_port;

static u32 pm_timer_read(void)
{
	return inl(pm_timer_port) & PM_TIMER_MASK;
}

static struct moment read_moment(const struct reference *ref)
{
	struct moment best = {0};
	u64 closest = ~0ull;

	for (int i = 0; i < READ_TRIES; i++) {
		u64 before = tsc_now();
		u32 r = ref->read(), a = apic_ready() ? apic_timer_count() : 0;
		u64 after = tsc_now();

		if (after - before < closest) {
			closest = after - before;
			best = (struct moment){before + closest / 2, r, a};
		}
	}
	return best;
}

static bool reference_moves(const struct reference *ref)
{
	u64 start = tsc_now();
	u32 first = ref->read();

	while (tsc_now() - start < REFERENCE_WAIT) {
		if (ref->read() != first)
			return true;
	}
	return false;
}

struct rates {
	u64 tsc_hz, apic_hz;
};

static struct rates measure_once(const struct reference *ref)
{
	u32 wanted = (u32)((u64)ref->hz * MEASURE_US / 1000000), elapsed;
	struct moment a = read_moment(ref), b;

	while (((ref->read() - a.reference) & ref->mask) < wanted)
		cpu_relax();
	b = read_moment(ref);
	elapsed = MAX((b.reference - a.reference) & ref->mask, 1u);
	return (struct rates){
		(b.tsc - a.tsc) * ref->hz / elapsed,
		(u64)(a.apic - b.apic) * ref->hz / elapsed, /* it counts down */
	};
}

/* => false: the reference does not move. Without an APIC its rate is 0. */
static bool measure(const struct reference *ref, struct rates *out)
{
	struct rates last;

	if (!reference_moves(ref))
		return false;
	if (apic_ready())
		apic_timer_start_silent(~0u);
	*out = measure_once(ref);
	for (int i = 1; i < MEASURE_TRIES; i++) {
		u64 difference;

		last = *out;
		*out = measure_once(ref);
		difference = MAX(out->tsc_hz, last.tsc_hz) - MIN(out->tsc_hz, last.tsc_hz);
		if (difference < out->tsc_hz / AGREE_WITHIN)
			break;
	}
	reference_name = ref->name;
	return true;
}

/* => the TSC's rate as the processor tells it, or 0 */
static u64 tsc_hz_by_cpuid(void)
{
	u32 max = cpuid(0, 0).eax;
	struct cpuid id;

	if (max >= CPUID_TSC) {
		id = cpuid(CPUID_TSC, 0);
		if (id.eax && id.ebx && id.ecx)
			return (u64)id.ecx * id.ebx / id.eax;
	}
	return max >= CPUID_FREQUENCY ? (cpuid(CPUID_FREQUENCY, 0).eax & 0xffff) * MHZ : 0;
}

static u64 told_hz; /* 0: nobody has */
static const char *told_by;

void timer_told(u64 hz, const char *by)
{
	told_hz = hz;
	told_by = by;
}

/* With no reference but the TSC, whose rate is told by somebody or guessed. */
static void measure_apic_by_tsc(struct rates *out)
{
	u64 start, elapsed;

	out->tsc_hz = told_hz ? told_hz : tsc_hz_by_cpuid();
	if (out->tsc_hz)
		reference_name = told_hz ? told_by : "CPUID";
	else
		out->tsc_hz = TSC_HZ_GUESS;
	if (!apic_ready())
		return;
	tsc_hz = out->tsc_hz;
	apic_timer_start_silent(~0u);
	start = tsc_now();
	delay_us(MEASURE_US);
	elapsed = tsc_now() - start;
	out->apic_hz = (u64)(~0u - apic_timer_count()) * tsc_hz / elapsed;
}

static void tick(struct trap_frame *f __attribute__((unused)))
{
	count(irq_timer);
	this_cpu()->ticks++;
	this_cpu()->tick_tsc = tsc_now();
	shootdown_quiet_point();
}

void timer_init(u16 pm_port)
{
	const struct reference pit = {"PIT", PIT_HZ, PIT_MASK, pit_read};
	const struct reference pm = {"ACPI PM timer", PM_TIMER_HZ, PM_TIMER_MASK, pm_timer_read};
	irqflags_t flags = irq_save();
	struct rates r = {0};

	pm_timer_port = pm_port;
	outb(PIT_CONTROL, PIT_COUNTER0_RATE_GEN);
	outb(PIT_COUNTER0, 0); /* 0 is 65536, the longest period */
	outb(PIT_COUNTER0, 0);
	if (told_hz || (!measure(&pit, &r) && !(pm_port && measure(&pm, &r))))
		measure_apic_by_tsc(&r);
	tsc_hz = r.tsc_hz;
	apic_ticks_per_tick = (u32)(r.apic_hz / TICK_HZ);
	if (apic_ready()) {
		irq_register(VEC_TIMER, tick);
		timer_start_cpu();
	}
	irq_restore(flags);
	printk("timer: TSC %lu kHz, local APIC timer %lu kHz, measured by %s; tick %u Hz\n",
	       r.tsc_hz / 1000, r.apic_hz / 1000, reference_name, TICK_HZ);
}

void timer_start_cpu(void)
{
	this_cpu()->tick_tsc = tsc_now();
	if (apic_ticks_per_tick)
		apic_timer_start_periodic(apic_ticks_per_tick, VEC_TIMER);
}

const char *timer_reference(void)
{
	return reference_name;
}

void delay_us(u64 us)
{
	u64 start = tsc_now(), ticks = us * tsc_hz / MHZ;

	while (tsc_now() - start < ticks)
		cpu_relax();
}
