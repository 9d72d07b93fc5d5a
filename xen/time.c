// SPDX-License-Identifier: MIT
/*
 * Time in a PV guest. Xen has measured the TSC already and shares the result (Xen: xen.h, struct
 * vcpu_time_info): nanoseconds = system_time + ((tsc - tsc_timestamp) << shift) * mul / 2^32. So
 * the TSC's rate is a division, and kernel/time.h serves as on the bare machine.
 *
 * The tick is a one-shot timer, an event of each vCPU, set anew by each tick for the next. Not
 * Xen's periodic timer, which rests while a vCPU is blocked: the tick is what carries the quiet
 * points (mm/shootdown.c) here too. A vCPU that did not get to run has missed ticks, and gets
 * one for them.
 */
#include "xen/time.h"
#include "kernel/cpu.h"
#include "kernel/panic.h"
#include "kernel/printk.h"
#include "kernel/time.h"
#include "mm/shootdown.h"
#include "xen/events.h"

#define TICK_HZ	      100
#define NS_PER_SECOND 1000000000ull

/*
 * Xen writes it while the vCPU does not run; the version is odd meanwhile, and different after.
 * => *tsc: read in between, so on the processor that all this is said of
 */
static struct vcpu_time_info read_time(u64 *tsc)
{
	const struct vcpu_info *v = this_cpu()->shared;
	struct vcpu_time_info t;
	u32 version;

	do {
		version = __atomic_load_n(&v->time.version, __ATOMIC_ACQUIRE);
		t = v->time;
		*tsc = tsc_now();
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
	} while ((version & 1) || READ_ONCE(v->time.version) != version);
	return t;
}

static u64 scale(u64 ticks, const struct vcpu_time_info *t)
{
	ticks = t->tsc_shift < 0 ? ticks >> -t->tsc_shift : ticks << t->tsc_shift;
	return (u64)((unsigned __int128)ticks * t->tsc_to_system_mul >> 32);
}

u64 xen_time_ns(void)
{
	u64 tsc;
	struct vcpu_time_info t = read_time(&tsc);

	return t.system_time + scale(tsc - t.tsc_timestamp, &t);
}

u64 xen_vcpu_run_time_us(unsigned vcpu)
{
	struct vcpu_runstate_info info = {0};
	long err = xen_vcpu_op(VCPUOP_get_runstate_info, vcpu, &info);

	KASSERT(!err, "Xen does not tell how long vCPU %u has run: %ld", vcpu, err);
	return info.time[RUNSTATE_running] / 1000;
}

u64 xen_tsc_hz(void)
{
	u64 tsc;
	struct vcpu_time_info t = read_time(&tsc);
	u64 hz = (NS_PER_SECOND << 32) / MAX(t.tsc_to_system_mul, 1u);

	return t.tsc_shift < 0 ? hz << -t.tsc_shift : hz >> t.tsc_shift;
}

void xen_time_init(void)
{
	tsc_hz = xen_tsc_hz();
	printk("timer: TSC %lu kHz, measured by Xen; tick %u Hz\n", tsc_hz / 1000, TICK_HZ);
}

#define TICK_NS (NS_PER_SECOND / TICK_HZ)

static u64 next_tick[MAX_CPUS]; /* ns; each its own vCPU's */

static void set_tick(void)
{
	struct vcpu_set_singleshot_timer op = {0};
	u64 now = xen_time_ns(), *next = &next_tick[cpu_id()];
	long err;

	*next = *next + TICK_NS > now ? *next + TICK_NS : now + TICK_NS;
	op.timeout_abs_ns = *next;
	err = xen_vcpu_op(VCPUOP_set_singleshot_timer, cpu_id(), &op);
	KASSERT(!err, "Xen refuses vCPU %u its tick: %ld", cpu_id(), err);
}

static void tick(struct trap_frame *f __attribute__((unused)))
{
	set_tick();
	count(irq_timer);
	this_cpu()->ticks++;
	this_cpu()->tick_tsc = tsc_now();
	shootdown_quiet_point();
}

void xen_time_start_cpu(void)
{
	/* What it was given at birth, 100 Hz while it runs, would come in between. */
	long err = xen_vcpu_op(VCPUOP_stop_periodic_timer, cpu_id(), NULL);

	KASSERT(!err, "Xen does not stop vCPU %u's periodic timer: %ld", cpu_id(), err);
	this_cpu()->tick_tsc = tsc_now();
	xen_bind_virq(VIRQ_TIMER, cpu_id(), tick);
	set_tick();
}
