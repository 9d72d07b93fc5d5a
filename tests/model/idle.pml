// SPDX-License-Identifier: MIT
/*
 * Promises: a halted CPU is not asked but made to promise that it flushes before it does anything
 * (mm/shootdown.c, "idle CPUs", steps a to d and 1 to 3), and what is concluded from promises:
 * shootdown_covered() and shootdown_horizon().
 *
 * The last CPU idles, HALTS times; what ends the halt is an IPI, another interrupt, or nothing at
 * all. Up to NMIS NMIs come to it, between any two steps. The other CPUs map an address and clear
 * it again, ROUNDS times, and then either have it shot down, or ask whether it is covered, or look
 * how far the horizon is. By any of these the translation may be dead; with the horizon also those
 * that others have stamped below it, or will. From then on a CPU that does anything may not hold
 * it. What was covered stays so; with LOOK_ONCE nobody looks again.
 *
 * idle := AWAKE is a plain store and lands late; the buffer has room for one. With ENTER_PLAIN
 * idle := IDLE is one as well: the essay says that this is safe.
 *
 * Asking is shortened here: the ranges are exact and the interrupt comes with the request
 * (shootdown.pml has all of it). Next: reuse.pml.
 */
// run: one      safety  -DCPUS=2 -DHALTS=2
// run: plain    safety  -DCPUS=2 -DENTER_PLAIN
// run: once     safety  -DCPUS=2 -DLOOK_ONCE
// full: rounds  safety  -DCPUS=2 -DROUNDS=2 -DHALTS=2
// full: two     safety  -DCPUS=3 -DNMIS=0
// bug: READ_THEN_WRITE     one  stale  wakes by a read and a write: a promise in between is lost
// bug: WAKING_LEFT_OUT     once stale  is AWAKE while it has still to flush: an NMI does not know
// bug: AWAKE_EARLY         once stale  is AWAKE before it flushes
// bug: ONLY_MUST_FLUSH     one  stale  an NMI that finds WAKING does not flush
// bug: NMI_FORGOTTEN       one  stale  an NMI does not look at all
// bug: USE_FIRST           one  stale  the handler begins before the promise is kept
// bug: HALT_RETURNS        one  stale  does not look when the halt ends without an interrupt
// bug: ENTER_EARLY         one  stale  says that it is idle, and does something more
// bug: PROMISE_STORED      one  stale  makes the promise by a store: its CPU may be awake by now
// bug: PROMISE_EARLY       one  stale  takes the promise before the entry is cleared
// bug: WAKING_TRUSTED      one  stale  takes WAKING for a promise
// bug: FLUSH_UNPUBLISHED   one  back   keeps the promise and tells nobody
// bug: WAKING_NOT_AWAITED  one  back   does not wait for who is just keeping its promise
// bug: HORIZON_CLOCK_LAST  two  stale  reads the clock after the promises
#include "machine.pml"

#ifndef ROUNDS
#define ROUNDS 1
#endif
#ifndef HALTS
#define HALTS 1
#endif
#ifndef NMIS
#define NMIS 1
#endif

#define IDLER (CPUS - 1)

/* enum cpu_idle; 0: no store is under way */
#define AWAKE	   1
#define IDLE	   2
#define MUST_FLUSH 3
#define WAKING	   4

byte idle[CPUS];   /* tlb[].idle, as others see it */
byte stored;	   /* what the idler has stored there, and has not landed */
bool usable[CPUS]; /* its code may use any address */
bool in_nmi, nmi_usable;
byte inbox, pending[CPUS];
bool ipi;

byte cleared[CPUS], cleared_at[CPUS]; /* translation that CPU has cleared, and its stamp */
byte horizon;

#define LOCKED (stored == 0)

proctype store_buffer()
{
end:	do
	:: d_step { stored != 0 -> idle[IDLER] = stored; stored = 0 }
	od
}

inline nobody_is_stale()
{
	i = 0;
	do
	:: i < CPUS ->
		assert(!(usable[i] || (i == IDLER && nmi_usable)) || (holds[i] & dead) == 0);
		i++
	:: else -> break
	od
}

/* --- the idle CPU --- */

inline store_idle(state)
{
	LOCKED -> stored = state
}

inline shootdown_idle_enter()
{
#ifndef BUG_ENTER_EARLY
	usable[me] = false;
#endif
#ifdef ENTER_PLAIN
	store_idle(IDLE)
#else
	d_step { LOCKED -> idle[me] = IDLE }
#endif
#ifdef BUG_ENTER_EARLY
	;
	usable[me] = false
#endif
}

#ifdef BUG_ONLY_MUST_FLUSH
#define HAS_PROMISED(was) (was == MUST_FLUSH)
#else
#define HAS_PROMISED(was) (was != IDLE)
#endif

#define IDLE_AS_I_SEE_IT (stored != 0 -> stored : idle[me])

inline shootdown_idle_exit()
{
	if
	:: d_step { IDLE_AS_I_SEE_IT == AWAKE -> skip }
	:: IDLE_AS_I_SEE_IT != AWAKE ->
#ifdef BUG_READ_THEN_WRITE
		was = idle[me];
		d_step { LOCKED -> idle[me] = WAKING };
#else
#ifdef BUG_WAKING_LEFT_OUT
		d_step { LOCKED -> was = idle[me]; idle[me] = AWAKE };
#else
		d_step { LOCKED -> was = idle[me]; idle[me] = WAKING };
#endif
#endif
#ifdef BUG_AWAKE_EARLY
		store_idle(AWAKE);
#endif
		if
		:: HAS_PROMISED(was) ->
#ifdef BUG_FLUSH_UNPUBLISHED
			invalidate(EVERYTHING)
#else
			LOCKED -> shootdown_flush_local()
#endif
		:: else
		fi;
#if !defined(BUG_WAKING_LEFT_OUT) && !defined(BUG_AWAKE_EARLY)
		store_idle(AWAKE);
#endif
		was = 0
	fi
}

inline begins_to_use()
{
	atomic { usable[me] = true; nobody_is_stale() }
}

inline shootdown_serve()
{
	d_step { LOCKED -> askers = inbox; inbox = 0 };
	do
	:: askers != 0 ->
		d_step {
			asker = 0;
			do
			:: askers & BIT(asker) -> break
			:: else -> asker++
			od;
			askers = askers & ~BIT(asker);
			invalidate(cleared[asker])
		};
		d_step { LOCKED -> pending[asker] = 0; asker = 0 }
	:: askers == 0 -> break
	od
}

proctype idle_loop(byte me) provided(!in_nmi)
{
	byte halts, was, askers, asker, c;
	bool trap;

end:	do
	:: ipi -> /* awake */
		ipi = false;
		shootdown_serve()
	:: halts < HALTS ->
		halts++;
		shootdown_idle_enter();
		if /* halted */
		:: d_step { ipi -> ipi = false; trap = true }
		:: trap = true
		:: trap = false
		fi;
#ifdef BUG_USE_FIRST
		begins_to_use();
#endif
#ifdef BUG_HALT_RETURNS
		if
		:: trap -> shootdown_idle_exit()
		:: else
		fi;
#else
		shootdown_idle_exit();
#endif
		begins_to_use();
		if
		:: trap -> shootdown_serve()
		:: else
		fi;
		trap = false
	od
}

proctype nmi(byte me)
{
	byte nmis, was, c;

end:	do
	:: d_step { nmis < NMIS && LOCKED && !in_nmi -> nmis++; in_nmi = true };
#ifndef BUG_NMI_FORGOTTEN
		shootdown_idle_exit();
#endif
		atomic { nmi_usable = true; nobody_is_stale() };
		d_step { nmi_usable = false; in_nmi = false }
	od
}

/* --- the others --- */

inline promises_to_flush(cpu)
{
	if
	:: d_step { idle[cpu] != IDLE -> skip }
	:: idle[cpu] == IDLE ->
#ifdef BUG_PROMISE_STORED
		d_step { idle[cpu] = MUST_FLUSH; promised = true }
#else
		d_step {
			if
			:: idle[cpu] == IDLE -> idle[cpu] = MUST_FLUSH; promised = true
			:: else
			fi
		}
#endif
	fi;
#ifdef BUG_WAKING_TRUSTED
	promised = promised || idle[cpu] == MUST_FLUSH || idle[cpu] == WAKING
#else
	promised = promised || idle[cpu] == MUST_FLUSH
#endif
}

/* flushed_when_awake(): the wait; then `flushed` can be read */
inline wait_until_awake(cpu)
{
#ifdef BUG_WAKING_NOT_AWAITED
	skip
#else
	idle[cpu] != WAKING
#endif
}

inline shootdown_horizon()
{
	h = now + 1;
	cpu = 0;
	do
	:: cpu < CPUS ->
		if
		:: d_step { flushed[cpu] > h - 1 -> skip }
		:: flushed[cpu] <= h - 1 ->
			promises_to_flush(cpu);
			if
			:: promised
			:: else ->
				wait_until_awake(cpu);
				h = (flushed[cpu] < h -> flushed[cpu] : h)
			fi;
			promised = false
		fi;
		cpu++
	:: else -> break
	od;
#ifdef BUG_HORIZON_CLOCK_LAST
	h = (h > 1 -> now + 1 : h);
#endif
	cpu = 0
}

/* => covered */
inline shootdown_covered(since)
{
	covered = true;
	cpu = 0;
	do
	:: cpu < CPUS && covered ->
		if
		:: d_step { flushed[cpu] > since -> skip }
		:: flushed[cpu] <= since ->
			promises_to_flush(cpu);
			if
			:: promised
			:: else ->
				wait_until_awake(cpu);
				covered = flushed[cpu] > since
			fi;
			promised = false
		fi;
		cpu++
	:: else -> break
	od;
	cpu = 0
}

/* Who is behind the horizon is dead, whoever cleared it. */
inline beyond_is_dead()
{
	i = 0;
	do
	:: i < IDLER ->
		if
		:: cleared_at[i] != 0 && cleared_at[i] < horizon -> dead = dead | cleared[i]
		:: else
		fi;
		i++
	:: else -> break
	od;
	nobody_is_stale()
}

/* Those that are awake anyway are asked in shootdown.pml; here they have answered. */
inline forgotten_by_the_awake(translation)
{
	i = 0;
	do
	:: i < IDLER ->
		holds[i] = holds[i] & ~translation;
		i++
	:: else -> break
	od
}

inline shootdown()
{
	if
	:: flushed[IDLER] > stamp
	:: else ->
#ifndef BUG_PROMISE_EARLY
		promises_to_flush(IDLER);
#endif
		if
		:: promised
		:: else ->
			pending[me] = BIT(IDLER);
			d_step { inbox = inbox | BIT(me); ipi = true };
			pending[me] == 0
		fi
	fi;
	promised = false
}

proctype asker(byte me)
{
	byte round, mine, stamp, cpu, h, before, c;
	bool promised, covered;

	do
	:: d_step {
		round < ROUNDS ->
		mine = BIT(me * ROUNDS + round);
		write_entry(mine);
		round++
	   };
#ifdef BUG_PROMISE_EARLY
		promises_to_flush(IDLER);
#endif
		d_step { present = present & ~mine; cleared[me] = mine };
		atomic { stamp = now; cleared_at[me] = stamp; beyond_is_dead() };
		if
		:: shootdown();
			atomic {
				forgotten_by_the_awake(mine);
				dead = dead | mine;
				nobody_is_stale()
			}
		:: shootdown_flush_local();
			shootdown_covered(stamp);
			if
			:: covered ->
				atomic { dead = dead | mine; nobody_is_stale() }
#ifndef LOOK_ONCE
				;
				shootdown_covered(stamp);
				assert(covered)
#endif
			:: else
			fi;
			covered = false
		:: shootdown_flush_local();
			before = horizon;
			shootdown_horizon();
			atomic {
				assert(h >= before); /* the horizon */
				horizon = (h > horizon -> h : horizon);
				beyond_is_dead();
				h = 0;
				before = 0
			}
		fi;
		atomic { cleared[me] = 0; cleared_at[me] = 0; mine = 0; stamp = 0 }
	:: else -> break
	od
}

init
{
	byte cpu;

	atomic {
		do
		:: cpu < CPUS ->
			idle[cpu] = AWAKE;
			usable[cpu] = true;
			if
			:: cpu < IDLER -> run asker(cpu)
			:: else
			fi;
			cpu++
		:: else -> break
		od;
		cpu = 0;
		run store_buffer();
		run idle_loop(IDLER);
		run nmi(IDLER)
	}
}
