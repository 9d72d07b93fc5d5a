// SPDX-License-Identifier: MIT
/*
 * Asking and answering: shootdown(), with the clock that tells who need not be asked, interrupts,
 * quiet points, several CPUs asking at once, and a CPU that joins meanwhile.
 *
 * Each of the first ASKERS CPUs maps an address and takes it away again, ROUNDS times. It asks for
 * exactly its page or for everything. All CPUs may use all addresses at any time, so from the
 * moment a shootdown returns no CPU may hold what it was about; and it does return, or the run ends
 * where it must not. With EXACT it is always exactly the page. With JOIN the last CPU is not there
 * in the beginning.
 *
 * With STORES the askers have store buffers: plain stores land later, in order (SDM vol. 3A,
 * 8.2.3.4), and a locked operation waits until they have; so does an interrupt (11.10).
 *
 * With ENDLESS they do it for ever, and shootdowns must go on returning.
 *
 * Next: idle.pml, the CPUs that are not asked because they have promised.
 */
// run: two       safety    -DCPUS=2
// run: three     safety    -DCPUS=3 -DEXACT -DTICKS=0
// run: target    safety    -DCPUS=3 -DASKERS=1 -DROUNDS=2
// run: join      safety    -DCPUS=2 -DASKERS=1 -DROUNDS=2 -DJOIN
// run: stores    safety    -DCPUS=3 -DASKERS=1 -DSTORES
// run: endless   progress  -DCPUS=2 -DEXACT -DTICKS=0 -DENDLESS
// full: join3    safety    -DCPUS=3 -DEXACT -DTICKS=0 -DJOIN
// full: endless3 progress  -DCPUS=3 -DEXACT -DTICKS=0 -DENDLESS
// bug: CLEAR_LAST         two     stale     flushes before the entry is cleared
// bug: CLEAR_PLAIN        stores  stale     clears by a plain store, with no fence before the stamp
// bug: STAMP_FIRST        two     stale     takes the stamp before the entry is cleared
// bug: STAMP_UNKNOWN      two     stale     takes "stamp not known" for "long ago"
// bug: SKIP_EQUAL         two     stale     skips who has flushed at the stamp, not after it
// bug: TICK_LATE          two     stale     ticks after the flush, not before
// bug: PUBLISH_EARLY      two     stale     publishes a flush that is still to come
// bug: PUBLISH_EXACT      two     stale     takes an exact invalidation for a full flush
// bug: PUBLISH_SET        two     back      publishes by a store: a nested flush is taken back
// bug: ACK_EARLY          two     stale     acknowledges, then invalidates
// bug: ACK_UNLOCKED       target  deadlock  acknowledges by a read and a write: one of two is lost
// bug: INBOX_EMPTIED_LATE three   deadlock  empties its inbox after it has served: one is lost
// bug: PUT_OFF            endless starved   puts off requests while its own waits
// bug: PENDING_LATE       two     deadlock  says who has to answer after it has asked
// bug: SLOT_LATE          two     stale     says what it asks after it has asked
// bug: KICK_FIRST         two     deadlock  sends the interrupt before the request is there
// bug: DEAF_WAIT          two     deadlock  waits with interrupts off and serves nobody
// bug: NO_WAIT            two     stale     returns before all have answered
// bug: JOIN_NO_FLUSH      join    stale     joins without a flush
// bug: JOIN_FLUSH_FIRST   join    stale     flushes before it is among the CPUs that are online
#include "machine.pml"

#ifndef ASKERS
#define ASKERS 2
#endif
#ifndef ROUNDS
#define ROUNDS 1
#endif
#ifndef TICKS
#define TICKS 1 /* quiet points that are passed, at most */
#endif

byte slot[CPUS];       /* tlb[].slot: translations of the addresses that its gather names */
byte slot_stamp[CPUS]; /* and its stamp */
byte inbox[CPUS], pending[CPUS];
byte online;
bool joined[CPUS]; /* it uses addresses that come and go */
bool ipi[CPUS];	   /* an interrupt has been sent, and is not taken yet */
bool irqs_on[CPUS];
bool in_irq[CPUS]; /* its thread stands still meanwhile */
byte ticks;

inline nobody_is_stale()
{
	i = 0;
	do
	:: i < CPUS ->
		assert(!joined[i] || (holds[i] & dead) == 0);
		i++
	:: else -> break
	od
}

/* --- plain stores --- */

#ifdef STORES
#define SLOT	0
#define PENDING 1
#define ENTRY	2
chan store[CPUS] = [2] of {byte, byte, byte}; /* which word, and what */

#define LOCKED			empty(store[me])
#define STORE_SLOT(what, when) store[me]!SLOT, what, when
#define STORE_PENDING(who)    store[me]!PENDING, who, 0

proctype store_buffer(byte me)
{
	byte word, a, b;

end:	do
	:: d_step {
		store[me]?word, a, b;
		if
		:: word == SLOT ->
			slot[me] = a;
			slot_stamp[me] = b
		:: word == PENDING -> pending[me] = a
		:: word == ENTRY -> present = present & ~a
		fi;
		word = 0;
		a = 0;
		b = 0
	   }
	od
}
#else
#define LOCKED			true
#define STORE_SLOT(what, when) atomic { slot[me] = what; slot_stamp[me] = when }
#define STORE_PENDING(who)    pending[me] = who
#endif

/* --- answering: shootdown_serve() is take_inbox(), then serve_askers() --- */

inline invalidate_here(from)
{
	if
	:: d_step { flushed[me] > slot_stamp[from] -> skip }
	:: d_step {
		flushed[me] <= slot_stamp[from] && slot[from] != EVERYTHING ->
		invalidate(slot[from])
#ifdef BUG_PUBLISH_EXACT
		;
		publish(now)
#endif
	   }
	:: flushed[me] <= slot_stamp[from] && slot[from] == EVERYTHING -> shootdown_flush_local()
	fi
}

inline acknowledge()
{
#ifdef BUG_ACK_UNLOCKED
	c = pending[asker];
	d_step { pending[asker] = c & ~BIT(me); c = 0 }
#else
	pending[asker] = pending[asker] & ~BIT(me)
#endif
}

inline serve_askers()
{
#ifdef BUG_PUT_OFF
	if
	:: d_step { pending[me] != 0 -> inbox[me] = inbox[me] | askers; askers = 0 }
	:: else
	fi;
#endif
	do
	:: askers != 0 ->
		d_step {
			asker = 0;
			do
			:: askers & BIT(asker) -> break
			:: else -> asker++
			od;
			askers = askers & ~BIT(asker)
		};
#ifdef BUG_ACK_EARLY
		acknowledge();
		invalidate_here(asker)
#else
		invalidate_here(asker);
		acknowledge()
#endif
	:: d_step { askers == 0 -> asker = 0 } -> break
	od;
#ifdef BUG_INBOX_EMPTIED_LATE
	inbox[me] = 0
#endif
}

inline take_inbox()
{
	askers = inbox[me];
#ifndef BUG_INBOX_EMPTIED_LATE
	inbox[me] = 0
#endif
}

/* --- asking --- */

#ifdef BUG_SKIP_EQUAL
#define HAS_FLUSHED_SINCE(cpu, stamp) (flushed[cpu] >= stamp)
#else
#define HAS_FLUSHED_SINCE(cpu, stamp) (flushed[cpu] > stamp)
#endif

inline shootdown_targets(since)
{
	on = online & ~BIT(me);
	do
	:: d_step {
		cpu < CPUS ->
		if
		:: (on & BIT(cpu)) && !HAS_FLUSHED_SINCE(cpu, since) -> targets = targets | BIT(cpu)
		:: else
		fi;
		cpu++
	   }
	:: d_step { cpu == CPUS -> cpu = 0; on = 0 } -> break
	od
}

inline kick_all()
{
	atomic {
		do
		:: cpu < CPUS ->
			ipi[cpu] = ipi[cpu] || (kick & BIT(cpu));
			cpu++
		:: else -> break
		od;
		cpu = 0;
		kick = 0
	}
}

inline post()
{
#ifndef BUG_PENDING_LATE
	STORE_PENDING(targets);
#endif
#ifdef BUG_KICK_FIRST
	kick = targets;
	kick_all();
#endif
	do
	:: d_step {
		LOCKED && cpu < CPUS ->
		if
		:: targets & BIT(cpu) ->
			kick = kick | (inbox[cpu] == 0 -> BIT(cpu) : 0);
			inbox[cpu] = inbox[cpu] | BIT(me)
		:: else
		fi;
		cpu++
	   }
	:: d_step { cpu == CPUS -> cpu = 0 } -> break
	od;
#ifdef BUG_SLOT_LATE
	STORE_SLOT(which, stamp);
#endif
#ifdef BUG_PENDING_LATE
	STORE_PENDING(targets);
#endif
#ifdef BUG_KICK_FIRST
	kick = 0
#else
	kick_all()
#endif
}

inline wait_for_acks()
{
	do
	:: d_step { LOCKED && pending[me] == 0 -> targets = 0 } -> break
#ifndef BUG_DEAF_WAIT
	:: d_step { pending[me] != 0 && inbox[me] != 0 -> take_inbox() } -> serve_askers()
#endif
	od
}

inline shootdown()
{
#ifndef BUG_SLOT_LATE
	STORE_SLOT(which, stamp);
#endif
	shootdown_targets(stamp);
	if
	:: targets -> post()
	:: else
	fi;
	LOCKED -> /* our own slot is what we have stored */
	invalidate_here(me);
#ifdef BUG_NO_WAIT
	targets = 0
#else
	wait_for_acks()
#endif
}

/* --- CPUs --- */

inline clear_entry()
{
#ifdef BUG_CLEAR_PLAIN
	store[me]!ENTRY, mine, 0
#else
	d_step { LOCKED -> present = present & ~mine }
#endif
}

proctype asker_thread(byte me) provided(!in_irq[me])
{
	byte round, mine, which, stamp, on, targets, kick, cpu, askers, asker, c;

	do
	:: d_step {
		round < ROUNDS ->
		mine = BIT(me * ROUNDS + round);
		dead = dead & ~mine;
		write_entry(mine);
#ifndef ENDLESS
		round++
#endif
	   };
		if
		:: which = (BIT(ROUNDS) - 1) << (me * ROUNDS)
#ifndef EXACT
		:: which = EVERYTHING
#endif
		fi;
#ifdef BUG_DEAF_WAIT
		irqs_on[me] = false;
#endif
#ifdef BUG_STAMP_FIRST
		stamp = now;
#endif
#ifndef BUG_CLEAR_LAST
		clear_entry();
#endif
#ifndef BUG_STAMP_FIRST
		stamp = now; /* shootdown_stamp(); `newest` is for quiet points: see reuse.pml */
#endif
#ifdef BUG_STAMP_UNKNOWN
		stamp = 0;
#endif
		shootdown();
#ifdef BUG_CLEAR_LAST
		clear_entry();
#endif
#ifdef BUG_DEAF_WAIT
		irqs_on[me] = true;
#endif
progress:	atomic { dead = dead | mine; nobody_is_stale(); mine = 0; which = 0; stamp = 0 }
	:: d_step { round == ROUNDS -> round = 0 } -> break
	od
}

/* shootdown_cpu_online(): IRQs off */
proctype joining_thread(byte me)
{
	byte c;

#ifdef BUG_JOIN_FLUSH_FIRST
	shootdown_flush_local();
#endif
	online = online | BIT(me);
#if !defined(BUG_JOIN_FLUSH_FIRST) && !defined(BUG_JOIN_NO_FLUSH)
	shootdown_flush_local();
#endif
	d_step { joined[me] = true; nobody_is_stale(); irqs_on[me] = true }
}

#define TAKES_IRQS (irqs_on[me] && LOCKED)

/* IPIs and ticks, where the thread has interrupts on. */
proctype interrupt(byte me)
{
	byte askers, asker, c;

end:	do
	:: d_step { TAKES_IRQS && ipi[me] -> ipi[me] = false; in_irq[me] = true; take_inbox() };
		serve_askers();
		in_irq[me] = false
	:: d_step { TAKES_IRQS && ticks < TICKS -> ticks++; in_irq[me] = true };
		shootdown_flush_local(); /* if behind; else it is only one too many */
		in_irq[me] = false
	od
}

init
{
	byte cpu;

	atomic {
		do
		:: cpu < CPUS ->
			run interrupt(cpu);
#ifdef STORES
			run store_buffer(cpu);
#endif
			if
			:: cpu < ASKERS -> run asker_thread(cpu)
			:: else
			fi;
#ifdef JOIN
			if
			:: cpu == CPUS - 1 -> run joining_thread(cpu); cpu++; break
			:: else
			fi;
#endif
			online = online | BIT(cpu);
			joined[cpu] = true;
			irqs_on[cpu] = true;
			cpu++
		:: cpu == CPUS -> break
		od;
		cpu = 0
	}
}
