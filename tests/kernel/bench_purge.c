// SPDX-License-Identifier: MIT
/*
 * What it costs to be rid of lazy mappings: of four given frames, with few and with many other
 * areas lazily unmapped at the time (purge), and of all of them (purge_all). That the first does
 * not depend on the others is the point of aliases that are known by frame.
 *
 * Cost is the smallest of several tries, because a tick in the middle is no part of it. The longest
 * stretch with interrupts off is counted by running the same purge once more in single steps
 * (arch/x86/step.h).
 */
#include "arch/x86/step.h"
#include "kernel/cpu.h"
#include "kernel/errno.h"
#include "kernel/irq.h"
#include "kernel/printk.h"
#include "kernel/test.h"
#include "mm/alias.h"
#include "mm/vmalloc.h"
#include "tests/kernel/bench.h"

#define GIVEN		     4	   /* frames given to vm_unmap_frame_aliases */
#define MANY		     10000 /* lazy areas outstanding, at most */
#define TRIES		     16
#define ENOUGH_PAGES	     100000 /* may wait: nothing is purged but by us */
#define SEARCHED	     16384  /* frames looked at for some that were never mapped */

#define NEVER_AT_MOST	     60 /* instructions */
#define NEVER_SPREAD_PERCENT 110
#define LAZY_SPREAD_PERCENT  150
#define IRQS_OFF_AT_MOST     20000 /* instructions */

/* Areas of one page, each with a frame of its own, mapped by make_pile() and at once unmapped. */
struct pile {
	u64 n;
	struct frame **frame;
	void **va;
};

static void drop_pile(struct pile *p)
{
	vm_unmap_aliases();
	if (p->frame)
		bench_free_frames(p->frame, p->n);
	vfree(p->va);
}

/* All are live before the first is unmapped, so that each has an address of its own. */
static int make_pile(struct pile *p, u64 n)
{
	u64 mapped = 0;

	*p = (struct pile){.n = n};
	if (!n)
		return 0;
	p->frame = bench_frames(n);
	p->va = vmalloc(n * sizeof(void *));
	while (p->frame && p->va && mapped < n &&
	       (p->va[mapped] = vmap(&p->frame[mapped], 1, VM_W)))
		mapped++;
	for (u64 i = 0; i < mapped; i++)
		vunmap(p->va[i]);
	if (mapped == n)
		return 0;
	drop_pile(p);
	printk("bench: no memory for %lu areas\n", n);
	return -ENOMEM;
}

/* What reading the clock twice costs by itself. */
static u64 clock_ticks(void)
{
	u64 least = ~0ul;

	for (unsigned i = 0; i < TRIES; i++) {
		u64 start = tsc_now();

		least = MIN(least, tsc_now() - start);
	}
	return least;
}

struct figure {
	u64 ticks; /* the least */
	u64 ipis;  /* in all tries */
};

static bool leave_lazy_aliases(struct frame *const *f)
{
	void *va[GIVEN];

	for (unsigned i = 0; i < GIVEN; i++) {
		va[i] = vmap(f + i, 1, VM_W);
		if (!va[i]) {
			while (i--)
				vunmap(va[i]);
			return false;
		}
	}
	for (unsigned i = 0; i < GIVEN; i++)
		vunmap(va[i]);
	return true;
}

/* The frames are purged TRIES times, each time after they got a lazy alias each if `lazy`. */
static int purge_given(struct frame *const *f, bool lazy, struct figure *out)
{
	const u64 overhead = clock_ticks();

	*out = (struct figure){.ticks = ~0ul};
	for (unsigned i = 0; i < TRIES; i++) {
		u64 ipis, start, ticks;
		int err;

		if (lazy && !leave_lazy_aliases(f))
			return -ENOMEM;
		ipis = counter_sum(CNT_ipi_sent);
		start = tsc_now();
		err = vm_unmap_frame_aliases(f, GIVEN, PURGE_FLUSH);
		ticks = tsc_now() - start - overhead;
		if (err)
			return err;
		out->ticks = MIN(out->ticks, ticks);
		out->ipis += counter_sum(CNT_ipi_sent) - ipis;
	}
	return 0;
}

static const u64 outstanding[] = {0, 100, MANY};

#define STEPS ARRAY_SIZE(outstanding)

static int purge_row(struct frame *const *f, enum lazy_policy policy, bool lazy, u64 n,
		     struct figure *out)
{
	struct lazy_stats st;
	struct pile p;
	int err = make_pile(&p, n);

	if (err)
		return err;
	lazy_stats(&st);
	err = purge_given(f, lazy, out);
	drop_pile(&p);
	if (err)
		return err;
	printk("%-3s, %s: %5lu areas unmapped before, %5lu of them waiting: %5lu ticks, %lu IPIs in "
	       "%u purges\n",
	       lazy_policy_name(policy), lazy ? "a lazy alias each" : "never mapped     ", n,
	       st.areas, out->ticks, out->ipis, TRIES);
	printk("BENCH {\"bench\":\"purge\",\"case\":\"%s\",\"policy\":\"%s\",\"frames\":%u,"
	       "\"outstanding\":%lu,\"insns\":%lu,\"ipis\":%lu}\n",
	       lazy ? "lazy" : "never", lazy_policy_name(policy), GIVEN, n, out->ticks, out->ipis);
	return 0;
}

static int purge_case(struct frame *const *f, enum lazy_policy policy, bool lazy)
{
	struct lazy_stats was = bench_begin(policy);
	u64 least = ~0ul, most = 0, ipis = 0;
	int err = 0;

	lazy_set_max(ENOUGH_PAGES);
	for (unsigned i = 0; i < STEPS && !err; i++) {
		struct figure fig;

		err = purge_row(f, policy, lazy, outstanding[i], &fig);
		least = MIN(least, fig.ticks);
		most = MAX(most, fig.ticks);
		ipis += fig.ipis;
	}
	bench_end(&was);
	if (err)
		return err;
	if (lazy)
		printk("     goal: with 10 000 at most 1.5 times as with none: %s\n",
		       verdict(100 * most <= LAZY_SPREAD_PERCENT * least));
	else
		printk("     goal: at most %u: %s; within 10 %%: %s; no IPI: %s\n", NEVER_AT_MOST,
		       verdict(most <= NEVER_AT_MOST),
		       verdict(100 * most <= NEVER_SPREAD_PERCENT * least), verdict(!ipis));
	return 0;
}

/* GIVEN frames with no alias since boot come to the front of f[0..n-1]. => false: not so many */
static bool gather_never_mapped(struct frame **f, u64 n)
{
	u64 found = 0;

	for (u64 i = 0; i < n && found < GIVEN; i++) {
		if (!atomic_read(&f[i]->alias)) {
			struct frame *never = f[i];

			f[i] = f[found];
			f[found++] = never;
		}
	}
	return found == GIVEN;
}

KBENCH(purge, "vm_unmap_frame_aliases of 4 frames, with few and many lazy areas about")
{
	struct frame **f = bench_frames(SEARCHED);
	int err = -ENOMEM;

	if (!f)
		return err;
	if (gather_never_mapped(f, SEARCHED)) {
		err = purge_case(f, LAZY_TLB, false);
		err = err ? err : purge_case(f, LAZY_PTE, false);
		err = err ? err : purge_case(f, LAZY_TLB, true);
		err = err ? err : purge_case(f, LAZY_PTE, true);
	} else {
		printk("bench purge: of %u frames not %u were never mapped; run it earlier\n",
		       SEARCHED, GIVEN);
	}
	bench_free_frames(f, SEARCHED);
	return err;
}

/* How long interrupts are off. An instruction counts if they are when it begins. */
struct irq_watch {
	u64 insns;
	u64 longest, longest_at; /* instructions; address of the first */
	u64 stretch, stretch_at; /* the present one */
};

static void watch_irqs(void *arg, const struct trap_frame *f)
{
	struct irq_watch *w = arg;

	w->insns++;
	if (f->rflags & RFLAGS_IF) {
		w->stretch = 0;
		return;
	}
	if (!w->stretch++)
		w->stretch_at = f->rip;
	if (w->stretch > w->longest) {
		w->longest = w->stretch;
		w->longest_at = w->stretch_at;
	}
}

static int purge_everything(enum lazy_policy policy)
{
	struct irq_watch watch = {0};
	struct pile p;
	u64 ticks, start;
	int err = make_pile(&p, MANY);

	if (err)
		return err;
	start = tsc_now();
	vm_unmap_aliases();
	ticks = tsc_now() - start;
	drop_pile(&p);
	err = make_pile(&p, MANY);
	if (err)
		return err;
	step_begin(watch_irqs, &watch);
	vm_unmap_aliases();
	step_end();
	drop_pile(&p);
	printk("%-3s: %u areas purged: %lu ticks each, %lu pages a second; %lu instructions, "
	       "interrupts off for at most %lu (at most %u: %s), from %pS\n",
	       lazy_policy_name(policy), MANY, per(ticks, MANY), MANY * tsc_hz / MAX(ticks, 1ul),
	       watch.insns, watch.longest, IRQS_OFF_AT_MOST,
	       verdict(watch.longest <= IRQS_OFF_AT_MOST), (void *)watch.longest_at);
	printk("BENCH {\"bench\":\"purge_all\",\"policy\":\"%s\",\"areas\":%u,\"ticks\":%lu,"
	       "\"insns\":%lu,\"irqs_off_insns\":%lu}\n",
	       lazy_policy_name(policy), MANY, ticks, watch.insns, watch.longest);
	return 0;
}

KBENCH(purge_all, "a purge of 10 000 lazy areas: speed, and how long interrupts are off")
{
	static const enum lazy_policy policies[] = {LAZY_TLB, LAZY_PTE};
	int err = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(policies) && !err; i++) {
		struct lazy_stats was = bench_begin(policies[i]);

		lazy_set_max(ENOUGH_PAGES);
		err = purge_everything(policies[i]);
		bench_end(&was);
	}
	return err;
}
