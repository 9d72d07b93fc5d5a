// SPDX-License-Identifier: MIT
/*
 * Addresses between two uses under policy tlb (mm/park.c): cleared, stamped, parked, and mapped
 * again when every CPU has flushed past the stamp. Nobody is asked; the CPUs flush at quiet points.
 *
 * There are AREAS areas of one size. Each CPU does OPS things, whatever it likes: maps an area
 * (one that is ready, or what it makes ready of its cleared ones, or one from the tree), unmaps
 * one, sends everything home that may go, or passes a quiet point. When an area is mapped, no CPU
 * may hold what it was mapped to before. No area is given twice or lost; and when all is over, one
 * more quiet point of each brings them all home.
 *
 * A list is a set here: links are written before the locked operation that publishes them, and
 * every list is taken whole. A ready list is stored to plainly by its own CPU, so that store may
 * land late. With IRQ an interrupt on CPU 0 gives back an area in the middle of all that.
 *
 * The horizon with idle CPUs is in idle.pml; here all are awake. Next: purge.pml.
 */
// run: one   safety  -DCPUS=2 -DAREAS=1 -DOPS=3
// run: two   safety  -DCPUS=2 -DAREAS=2 -DOPS=3
// run: irq   safety  -DCPUS=2 -DAREAS=2 -DOPS=2 -DIRQ
// full: one4 safety  -DCPUS=2 -DAREAS=1 -DOPS=4
// full: one3 safety  -DCPUS=3 -DAREAS=1 -DOPS=1
// bug: REUSE_EARLY       one  stale  an unmapped area is ready at once
// bug: STAMP_BEFORE      one  stale  takes the stamp before the entry is cleared
// bug: STAMP_EQUAL       one  stale  an area stamped at the horizon counts as forgotten
// bug: STAMP_AFTER_PUSH  one  stale  the stamp is written when the area is parked already
// bug: NEWEST_EARLY      one  stale  reads the newest stamp before it takes the list
// bug: NEWEST_AFTER_PUSH one  stale  the newest stamp is raised when the area is parked already
// bug: NEWEST_STORED     two  stale  the newest stamp is stored, and goes back
// bug: HORIZON_NOT_MINE  one  stale  the horizon of all CPUs but one's own
// bug: POP_UNLOCKED      two  stale  takes from the ready list by a read and a store
// bug: PUSH_UNLOCKED     two  lost   pushes onto a cleared list by a read and a store
// bug: BACK_STORED       two  lost   what is not forgotten yet overwrites what came meanwhile
// bug: IRQ_READY         irq  lost   an interrupt stores to the ready list
// bug: QUIET_EQUAL       one  lost   is not behind when it has flushed at the newest stamp
#include "machine.pml"

#ifndef AREAS
#define AREAS 1
#endif
#ifndef OPS
#define OPS 3
#endif
#define ALL (BIT(AREAS) - 1)

byte newest;			     /* flush_clock.newest */
byte cleared[CPUS], ready[CPUS];     /* parks[]: lists of areas, a bit each */
byte tree;			     /* free areas */
byte stamp[AREAS];		     /* area->stamp */
byte mapped_as[AREAS], was[AREAS];   /* its translation, if it is mapped; all it ever had */
byte mappings;			     /* so many so far: each is another translation */
byte in_hand[CPUS];		     /* areas that a CPU has taken and not put anywhere */
bool in_irq[CPUS];

/* ready := ..., a plain store that has not landed */
bool storing[CPUS];
byte stored[CPUS];

#define LOCKED(cpu) (!storing[cpu])

proctype store_buffer()
{
	byte cpu;

end:	do
	:: d_step {
		storing[0] || storing[CPUS - 1] ->
		cpu = (storing[0] -> 0 : CPUS - 1);
		ready[cpu] = stored[cpu];
		storing[cpu] = false;
		stored[cpu] = 0;
		cpu = 0
	   }
	od
}

inline store_ready(list)
{
	atomic { LOCKED(me) -> storing[me] = true; stored[me] = list }
}

/* --- lists --- */

inline push(list, areas)
{
#ifdef BUG_PUSH_UNLOCKED
	c = list;
	d_step { list = c | areas; in_hand[me] = in_hand[me] & ~(areas); c = 0 }
#else
	atomic { LOCKED(me) -> list = list | areas; in_hand[me] = in_hand[me] & ~(areas) }
#endif
}

inline take_all(list)
{
	atomic { LOCKED(me) -> taken = list; list = 0; in_hand[me] = in_hand[me] | taken }
}

/* --- forgotten? --- */

inline shootdown_horizon()
{
	atomic { h = now + 1; cpu = 0 };
	do
	:: atomic {
		cpu < CPUS ->
#ifdef BUG_HORIZON_NOT_MINE
		h = (cpu != me && flushed[cpu] < h -> flushed[cpu] : h);
#else
		h = (flushed[cpu] < h -> flushed[cpu] : h);
#endif
		cpu++
	   }
	:: atomic { cpu == CPUS -> cpu = 0 } -> break
	od
}

#ifdef BUG_STAMP_EQUAL
#define FORGOTTEN(a) (stamp[a] <= h)
#else
#define FORGOTTEN(a) (stamp[a] < h)
#endif

/* => those of `taken` that are not */
inline sort_out()
{
	atomic {
		back = 0;
		area = 0;
		do
		:: area < AREAS ->
			back = back | ((taken & BIT(area)) && !FORGOTTEN(area) -> BIT(area) : 0);
			area++
		:: else -> break
		od;
		taken = taken & ~back;
		area = 0
	}
}

inline take_forgotten(list)
{
#ifdef BUG_NEWEST_EARLY
	new = newest;
#endif
	take_all(list);
	if
	:: taken == 0
	:: taken != 0 ->
#ifndef BUG_NEWEST_EARLY
		new = newest;
#endif
		if
		:: new < h
		:: else ->
			sort_out();
			if
			:: back == 0
			:: back != 0 ->
#ifdef BUG_BACK_STORED
				atomic { list = back; in_hand[me] = in_hand[me] & ~back; back = 0 }
#else
				push(list, back);
				back = 0
#endif
			fi
		fi
	fi;
	new = 0
}

inline send_home()
{
	atomic { tree = tree | taken; in_hand[me] = in_hand[me] & ~taken; taken = 0 }
}

inline park_drain()
{
	shootdown_horizon();
	do
	:: other < CPUS ->
		take_all(ready[other]);
		send_home();
		take_forgotten(cleared[other]);
		send_home();
		other++
	:: else -> break
	od;
	atomic { other = 0; h = 0 }
}

/* --- mapping and unmapping --- */

/* One of `taken` is used, the rest is for the ready list. */
inline choose()
{
	area = 0;
	do
	:: taken & BIT(area) -> break
	:: else -> area++
	od;
	taken = taken & ~BIT(area)
}

inline park_pop()
{
#ifdef BUG_POP_UNLOCKED
	atomic { taken = ready[me]; in_hand[me] = in_hand[me] | taken };
#else
	take_all(ready[me]);
#endif
	if
	:: taken != 0 ->
		atomic { choose(); mine = BIT(area); in_hand[me] = in_hand[me] & ~taken };
		store_ready(taken)
	:: else
	fi;
	taken = 0
}

/* A ready list is empty: this CPU's thread alone stores to it. */
inline refill()
{
	shootdown_horizon();
	take_forgotten(cleared[me]);
	if
	:: taken != 0 ->
		atomic { in_hand[me] = in_hand[me] & ~taken };
		store_ready(taken)
	:: else
	fi;
	atomic { taken = 0; h = 0 }
}

inline area_alloc()
{
	atomic {
		LOCKED(me) ->
		taken = tree;
		if
		:: taken != 0 ->
			choose();
			mine = BIT(area);
			tree = tree & ~mine;
			in_hand[me] = in_hand[me] | mine
		:: else
		fi;
		taken = 0
	}
}

inline map()
{
	park_pop();
	if
	:: mine == 0 ->
		refill();
		park_pop()
	:: else
	fi;
	if
	:: mine == 0 -> area_alloc()
	:: else
	fi;
	if
	:: mine != 0 ->
		atomic {
			c = 0;
			do /* whose else is it? */
			:: c < CPUS ->
				assert(c == me || (in_hand[c] & mine) == 0);
				c++
			:: else -> break
			od;
			assert(mapped_as[area] == 0); /* in_hand of nobody */
			dead = dead | was[area];
			c = 0;
			do
			:: c < CPUS ->
				assert((holds[c] & dead) == 0);
				c++
			:: else -> break
			od;
			c = 0;
			mapped_as[area] = BIT(mappings);
			was[area] = was[area] | BIT(mappings);
			write_entry(BIT(mappings));
			mappings++
		}
	:: else
	fi
}

inline shootdown_stamp()
{
	s = now;
#ifdef BUG_NEWEST_STORED
	if
	:: newest < s -> newest = s
	:: else
	fi
#else
#ifndef BUG_NEWEST_AFTER_PUSH
	raise_newest()
#endif
#endif
}

inline raise_newest()
{
	if
	:: newest < s -> atomic { LOCKED(me) -> newest = (newest < s -> s : newest) }
	:: else
	fi
}

inline unmap()
{
#ifdef BUG_STAMP_BEFORE
	shootdown_stamp();
#endif
	atomic {
		LOCKED(me) ->
		present = present & ~mapped_as[area];
		mapped_as[area] = 0
	};
#ifndef BUG_STAMP_BEFORE
	shootdown_stamp();
#endif
#ifndef BUG_STAMP_AFTER_PUSH
	stamp[area] = s;
#endif
#ifdef BUG_REUSE_EARLY
	push(ready[me], mine);
#else
	push(cleared[me], mine);
#endif
#ifdef BUG_STAMP_AFTER_PUSH
	stamp[area] = s;
#endif
#ifdef BUG_NEWEST_AFTER_PUSH
	raise_newest();
#endif
	atomic { s = 0; area = 0; mine = 0 }
}

#ifdef BUG_QUIET_EQUAL
#define BEHIND(flushed_at) (flushed_at < newest)
#else
#define BEHIND(flushed_at) (flushed_at <= newest)
#endif

inline shootdown_quiet_point()
{
	c = flushed[me];
	if
	:: BEHIND(c) -> shootdown_flush_local()
	:: else
	fi;
	c = 0
}

/* --- CPUs --- */

byte running; /* threads and interrupts that have not ended */

proctype thread(byte me) provided(!in_irq[me])
{
	byte ops, mine, area, taken, back, new, h, s, cpu, other, c;

	map(); /* each begins with one, as long as there are some */
	do
	:: ops < OPS && mine == 0 ->
		ops++;
		if
		:: map()
		:: park_drain()
		:: shootdown_quiet_point()
		fi
	:: ops < OPS && mine != 0 ->
		ops++;
		if
		:: unmap()
		:: shootdown_quiet_point()
		fi
	:: ops == OPS -> break
	od;
	if
	:: mine != 0 -> unmap()
	:: else
	fi;
	atomic { LOCKED(me) -> running--; ops = 0 }
}

#ifdef IRQ
/* park_ready() in an interrupt, on CPU 0: the area goes to the cleared list, without a stamp. */
proctype interrupt(byte me)
{
	byte mine, area, taken, c;

	atomic { LOCKED(me) -> in_irq[me] = true };
	area_alloc();
	if
	:: mine != 0 ->
		stamp[area] = 0;
#ifdef BUG_IRQ_READY
		take_all(ready[me]);
		atomic { in_hand[me] = in_hand[me] & ~(mine | taken) };
		store_ready(taken | mine)
#else
		push(cleared[me], mine)
#endif
	:: else
	fi;
	atomic { LOCKED(me) -> in_irq[me] = false; running-- }
}
#endif

/* When all is over. */
proctype end_of_all(byte me)
{
	byte taken, back, new, h, cpu, other, area, c;

	running == 0;
	do
	:: me < CPUS ->
		shootdown_quiet_point();
		me++
	:: else -> break
	od;
	me = 0;
	park_drain();
	assert(tree == ALL)
}

init
{
	byte cpu;

	atomic {
		do
		:: cpu < CPUS ->
			run thread(cpu);
			running++;
			cpu++
		:: else -> break
		od;
		cpu = 0;
		ready[0] = BIT(0); /* carved for it already */
		tree = ALL & ~BIT(0);
		run store_buffer();
#ifdef IRQ
		run interrupt(0);
		running++;
#endif
		run end_of_all(0)
	}
}
