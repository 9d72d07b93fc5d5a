// SPDX-License-Identifier: MIT
/*
 * The machine of all models, and the clock of mm/shootdown.c. README.md says for every step which C
 * function it stands for.
 *
 * TLBs. The page tables hold translations, each one bit: an address mapped to a frame. Where an
 * address is mapped again, that is another bit. A TLB may load what is present at any moment, keep
 * it for as long as it likes, and need not drop more than an invalidation says. So what matters is
 * the set of translations that a CPU *may* hold, and that set is no matter of chance:
 *
 *   an entry is written      every CPU may hold it from now on
 *   an entry is cleared      every CPU that could may still
 *   a CPU invalidates        it may hold what is present, for it may load that again at once
 *
 * This covers every way to speculate, between any two steps, without a step of its own; and what a
 * CPU may hold it does hold in some run, so nothing is asked that no machine could do.
 *
 * `dead` are the translations nobody may use any more: their shootdown has returned, or their
 * address was given away. A CPU that uses memory while it may hold a dead one is the bug all this
 * is about.
 *
 * Steps. Each access to a shared word is a step, a locked operation is one, and what a CPU does by
 * itself goes with the next of them: so each d_step below touches one word that others write. In
 * inlines, `me` is the CPU and `c` a local of the process.
 */
#ifndef CPUS
#define CPUS 2
#endif
#define BIT(n)	(1 << (n))

byte present;	  /* translations that are in the page tables */
byte holds[CPUS]; /* those that a CPU may hold */
byte dead;	  /* those that nobody may use */

byte now = 1;	      /* flush_clock.now */
byte flushed[CPUS];   /* tlb[].flushed */

hidden byte i; /* counts inside a step */

/* --- page tables and TLBs: to be used inside a step --- */

inline write_entry(translation)
{
	present = present | translation;
	i = 0;
	do
	:: i < CPUS ->
		holds[i] = holds[i] | translation;
		i++
	:: else -> break
	od
}

#define EVERYTHING 255

/* `which`: all translations of the addresses that are invalidated */
inline invalidate(which)
{
	holds[me] = (holds[me] & ~(which)) | (present & (which))
}

/* --- the clock --- */

/* atomic_max(&tlb[].flushed, clock): what was covered once is so for good */
inline publish(clock)
{
#ifdef BUG_PUBLISH_SET
	assert(flushed[me] <= clock);
	flushed[me] = clock
#else
	flushed[me] = (flushed[me] < clock -> clock : flushed[me])
#endif
}

inline shootdown_flush_local()
{
#ifdef BUG_TICK_LATE
	invalidate(EVERYTHING);
#endif
	d_step { now++; c = now };
#ifdef BUG_PUBLISH_EARLY
	d_step { publish(c); c = 0 };
	invalidate(EVERYTHING)
#else
#ifndef BUG_TICK_LATE
	invalidate(EVERYTHING);
#endif
	d_step { publish(c); c = 0 }
#endif
}
