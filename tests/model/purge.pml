// SPDX-License-Identifier: MIT
/*
 * Policy pte (mm/lazy.c): an unmapped area keeps its entries and waits on a list, LAZY; whoever
 * maps the same frames again revives it; a purge takes the lists, and clears and flushes what is
 * still lazy. All that decides is the area's word.
 *
 * There is one area, which is nobody's in the beginning, or CPU 0 has revived it once. Each CPU
 * does OPS things, whatever it likes: maps (a revival, or anew when the area has come back), unmaps
 * lazily or at once, purges with or without the flush, passes a quiet point. What was unmapped
 * before a purge was called, and was not revived, has no entry when the purge returns, and if it is
 * a flush no CPU holds it. Nobody clears what somebody has mapped. When the area is mapped anew, no
 * CPU holds what it was before.
 *
 * Asking other CPUs is one step for each here, some time between the call and its return
 * (shootdown.pml has the rest), and what is parked is one word (reuse.pml).
 */
// run: two    safety  -DCPUS=2 -DOPS=2
// full: two3  safety  -DCPUS=2 -DOPS=3
// full: three safety  -DCPUS=3 -DOPS=1
// bug: PUSH_AFTER_LAZY  two  left   is lazy before it is on the list
// bug: CLAIM_UNLOCKED   two  live   a purge claims by a read and a store
// bug: REVIVE_UNLOCKED  two  live   revives by a read and a store
// bug: BUSY_IGNORED     two  stale  claims what is still being cleared
// bug: NOT_AWAITED      two  stale  returns while another purge is still clearing
// bug: BEFORE_FORGOTTEN two  stale  flushes what it has cleared itself, and no more
// bug: BEFORE_EARLY     two  stale  looks how new stamps are before others can see its purge
// bug: ALWAYS_ALONE     two  stale  does not ask whether another purge was at work
// bug: READY_UNFLUSHED  two  stale  parks as ready what it has only cleared
// bug: FLUSH_BEFORE     two  stale  flushes before it clears
#include "machine.pml"

#ifndef OPS
#define OPS 3
#endif

/* The area's word: a state, and two bits. */
#define LIVE	1
#define LAZY	2
#define CLEARED 3
#define STATE(w) ((w) & 3)
#define LISTED	4
#define BUSY	8
byte word = CLEARED;

/* Where it is when it is nobody's. */
#define READY	1
#define PARKED	2 /* until all have flushed past its stamp */
byte home = READY;

byte stamp;	  /* area->stamp */
byte translation; /* what its entry is when it is mapped, */
byte was;	  /* what it ever was, */
byte mappings;	  /* and how many */
bool lazy[CPUS];  /* it is on parks[].lazy */
byte newest;	  /* flush_clock.newest */
byte begun, clearing; /* the two halves of `purges` */

byte gone;	/* unmapped, and not revived */
byte due[CPUS]; /* of that, what a purge was called for */

/* --- unmapping --- */

inline shootdown_stamp()
{
	s = now;
	d_step { newest = (newest < s -> s : newest) }
}

/* lazy_stay(); w is the word, LIVE. It fails when a purge takes the area off the list. */
inline lazy_stay()
{
	do
	:: d_step { w = word; assert(STATE(w) == LIVE) } ->
#ifdef BUG_PUSH_AFTER_LAZY
		d_step { c = w & LISTED; word = LAZY | LISTED; gone = gone | translation };
		if
		:: c == 0 -> lazy[me] = true
		:: else
		fi;
		c = 0;
		break
#else
		if
		:: w & LISTED
		:: else ->
			d_step {
				if
				:: word == w -> word = w | LISTED; w = word
				:: else -> w = 0
				fi
			};
			if
			:: w != 0 ->
				d_step { assert(!lazy[me]); lazy[me] = true } /* word and list */
			:: else
			fi
		fi;
		d_step {
			if
			:: w != 0 && word == w ->
				word = LAZY | LISTED;
				gone = gone | translation;
				w = 0
			:: else -> w = 1
			fi
		};
		if
		:: w == 0 -> break
		:: else
		fi
#endif
	od;
	w = 0;
	mine = false
}

/* engine_take(), engine_clear(), engine_cleared() */
inline unmap_at_once()
{
	d_step { w = word & LISTED; word = CLEARED | w | (w -> BUSY : 0) };
	d_step { present = present & ~translation };
	shootdown_stamp();
	stamp = s;
	d_step { gone = gone | translation; mine = false };
	if
	:: w != 0 -> d_step { word = word & ~BUSY }
	:: else -> home = PARKED
	fi;
	d_step { w = 0; s = 0 }
}

/* --- mapping --- */

inline revived()
{
	gone = gone & ~translation;
	i = 0;
	do
	:: i < CPUS ->
		due[i] = due[i] & ~translation;
		i++
	:: else -> break
	od;
	mine = true
}

inline revive()
{
#ifdef BUG_REVIVE_UNLOCKED
	w = word;
	if
	:: w == (LAZY | LISTED) -> atomic { word = LIVE | LISTED; revived() }
	:: else
	fi;
	w = 0
#else
	atomic {
		if
		:: word == (LAZY | LISTED) ->
			word = LIVE | LISTED;
			revived()
		:: else
		fi
	}
#endif
}

#define FORGOTTEN (flushed[0] > stamp && flushed[CPUS - 1] > stamp && flushed[CPUS / 2] > stamp)

inline map_anew()
{
	atomic {
		if
		:: home == READY || (home == PARKED && FORGOTTEN) ->
			home = 0;
			dead = was;
			nobody_is_stale();
			translation = BIT(mappings);
			was = was | translation;
			mappings++;
			mine = true
		:: else
		fi
	};
	if
	:: mine ->
		d_step { write_entry(translation) };
		word = LIVE
	:: else
	fi
}

inline nobody_is_stale()
{
	i = 0;
	do
	:: i < CPUS ->
		assert((holds[i] & dead) == 0);
		i++
	:: else -> break
	od
}

/* --- purging --- */

/* claim(): => w: what it was */
inline claim()
{
#ifdef BUG_CLAIM_UNLOCKED
	w = word;
	d_step { (w & BUSY) == 0 -> word = (STATE(w) == LAZY -> CLEARED : STATE(w)); w = STATE(w) }
#else
	d_step {
#ifndef BUG_BUSY_IGNORED
		(word & BUSY) == 0 ->
#endif
		w = STATE(word);
		word = (w == LAZY -> CLEARED : w)
	}
#endif
}

inline clear_list()
{
	claim();
	if
	:: w == LAZY ->
		d_step { present = present & ~translation };
		shootdown_stamp();
		d_step { stamp = s; range = translation; range_stamp = s; done = true; s = 0 }
	:: w == CLEARED ->
		d_step { range = range | was; range_stamp = stamp; home = PARKED }
	:: w == LIVE
	fi;
	w = 0
}

inline clear_all()
{
#ifdef BUG_BEFORE_EARLY
	before = newest;
#endif
	d_step { alone = (clearing == 0); begun++; clearing++; mark = begun };
#ifndef BUG_BEFORE_EARLY
	before = newest;
#endif
	do
	:: cpu < CPUS ->
		if
		:: d_step { lazy[cpu] -> lazy[cpu] = false } -> clear_list()
		:: !lazy[cpu]
		fi;
		cpu++
	:: d_step { cpu == CPUS -> cpu = 0; clearing-- } -> break
	od;
#ifdef BUG_NOT_AWAITED
	atomic { alone = alone && begun == mark && clearing == 0; mark = 0 }
#else
	atomic { clearing == 0 -> alone = alone && begun == mark; mark = 0 }
#endif
}

/* => c: some CPU has not flushed past it */
inline not_covered(since)
{
	c = 0;
	do
	:: cpu < CPUS && flushed[cpu] <= since -> c = 1; break
	:: d_step { cpu < CPUS && flushed[cpu] > since -> cpu++ }
	:: cpu == CPUS -> break
	od;
	cpu = 0
}

/* gather_flush(): asked of each that is behind, who then answers */
inline gather_flush()
{
	do
	:: atomic {
		cpu < CPUS && range_stamp ->
		if
		:: flushed[cpu] > range_stamp
		:: flushed[cpu] <= range_stamp && range != EVERYTHING ->
			holds[cpu] = (holds[cpu] & ~range) | (present & range)
		:: flushed[cpu] <= range_stamp && range == EVERYTHING ->
			holds[cpu] = present;
			now++;
			flushed[cpu] = now
		fi;
		cpu++
	   }
	:: cpu == CPUS || range_stamp == 0 -> break
	od;
	cpu = 0
}

inline flush_all()
{
#ifdef BUG_ALWAYS_ALONE
	alone = true;
#endif
#ifndef BUG_BEFORE_FORGOTTEN
	if
	:: alone && before != 0 -> not_covered(before)
	:: alone && before == 0
	:: !alone -> c = 1
	fi;
	if
	:: c == 1 ->
		d_step {
			range = EVERYTHING;
			range_stamp = (newest > range_stamp -> newest : range_stamp)
		}
	:: else
	fi;
	c = 0;
#endif
	gather_flush()
}

inline lazy_purge(flush)
{
	due[me] = gone;
#ifdef BUG_FLUSH_BEFORE
	if
	:: flush ->
		d_step { range = EVERYTHING; range_stamp = now };
		gather_flush();
		d_step { range = 0; range_stamp = 0 }
	:: else
	fi;
	clear_all();
#else
	clear_all();
	if
	:: flush -> flush_all()
	:: else
	fi;
#endif
	atomic {
		if
		:: done ->
#ifdef BUG_READY_UNFLUSHED
			home = READY
#else
			home = (flush -> READY : PARKED)
#endif
		:: else
		fi;
		assert((present & due[me]) == 0);
		i = 0;
		do
		:: i < CPUS && flush ->
			assert((holds[i] & due[me]) == 0);
			i++
		:: i == CPUS || !flush -> break
		od;
		due[me] = 0;
		done = false;
		alone = false;
		before = 0;
		range = 0;
		range_stamp = 0
	}
}

proctype thread(byte me; bool mine)
{
	byte ops, w, s, c, cpu, before, mark, range, range_stamp;
	bool done, alone;

	do
	:: ops < OPS && mine ->
		assert((word & 3) == LIVE && (present & translation));
		ops++;
		if
		:: true -> lazy_stay()
		:: true -> unmap_at_once()
		:: true -> lazy_purge(true)
		fi
	:: ops < OPS && !mine ->
		ops++;
		if
		:: true -> revive()
		:: true -> map_anew()
		:: true -> lazy_purge(true)
		:: true -> lazy_purge(false)
		:: true -> shootdown_flush_local()
		fi
	:: ops == OPS -> break
	od;
	ops = 0;
	if
	:: mine -> assert((word & 3) == LIVE && (present & translation))
	:: else
	fi
}

init
{
	byte cpu;

	atomic {
		if
		:: true ->
			home = 0;
			translation = 1;
			was = 1;
			mappings = 1;
			write_entry(1);
			word = LIVE | LISTED;
			lazy[0] = true
		:: true
		fi;
		do
		:: cpu < CPUS ->
			flushed[cpu] = now; /* all have, at boot */
			run thread(cpu, cpu == 0 && word != CLEARED);
			cpu++
		:: else -> break
		od;
		cpu = 0
	}
}
