// SPDX-License-Identifier: MIT
/*
 * Who maps a frame: one alias is a word, several are a chain. Aliases come and go in every order,
 * on several CPUs at once, and what a frame's word and its chain say is compared with what is
 * mapped: by mm_check(), by frame_aliases(), and by what alias_snapshot() lists.
 */
// links: mm/*.c tests/host/sim*.c
#include "mm/check.h"
#include "mm/kmap.h"
#include "mm/park.h"
#include "mm/shootdown.h"
#include "mm/vmap.h"
#include "tests/host/mapping.h"

#define ORDER 4

/* => the aliases of `frame` are exactly the n addresses */
static bool aliases_of(struct frame *frame, void *const *va, unsigned n)
{
	u64 index[ORDER + 1];

	if (alias_snapshot(frame, index, ARRAY_SIZE(index)) != n || frame_aliases(frame) != n)
		return false;
	for (unsigned i = 0; i < n; i++) {
		bool found = false;

		for (unsigned k = 0; k < n; k++)
			found |= alias_va(index[k]) == (vaddr_t)va[i];
		if (!found)
			return false;
	}
	return true;
}

static void test_single(void)
{
	u64 word;
	void *va;

	sim_boot(&(struct sim_config){.cpus = 2});
	get_frames(1);
	is_u64(f[0]->alias.v, 0, "a frame that was never mapped");
	va = vmap(f, 1, VM_W);
	is_u64(f[0]->alias.v, alias_of((vaddr_t)va), "its only alias is its word");
	ok(aliases_of(f[0], &va, 1) && frame_mapped_live(f[0]) && frame_remembered(f[0]), "live");
	vunmap(va);
	word = f[0]->alias.v;
	ok(word && !(word & ~ALIAS_LOW) && !frame_aliases(f[0]), "then it is a stamp");
	ok(frame_remembered(f[0]) && !frame_mapped_live(f[0]), "that is not covered");
	all_quiet();
	ok(!frame_remembered(f[0]), "until all have flushed");
	is_u64(counter_sum(CNT_alias_slow), 0, "no lock was taken for this");
	frame_free(f[0], 0);
	is_u64(f[0]->alias.v, ALIAS_BUSY | ALIAS_NOMAP | word, "free: it may not be mapped");
	KASSERT(frame_alloc(0, 0) == f[0], "the same frame");
	is_u64(f[0]->alias.v, word, "in use again: the stamp has stayed");
	frame_refuse_aliases(f[0]);
	ok(!vmap(f, 1, VM_W), "it may be refused to all");
	frame_allow_aliases(f[0]);
	va = vmap(f, 1, VM_W);
	EXPECT_PANIC("is to lose its aliases, but is mapped", frame_refuse_aliases(f[0]));
	vunmap(va);
	frame_free(f[0], 0);
}

/* Four aliases of one frame, ended in each of the 24 orders. */
static void test_orders(void)
{
	unsigned bad = 0;

	sim_boot(&(struct sim_config){.cpus = 2});
	get_frames(1);
	for (unsigned order = 0; order < 24; order++) {
		void *va[ORDER];
		unsigned rest = order;

		for (unsigned i = 0; i < ORDER; i++) {
			va[i] = vmap(f, 1, i % 2 ? VM_W : VM_R);
			bad += !aliases_of(f[0], va, i + 1);
		}
		bad += mm_check(false);
		for (unsigned n = ORDER; n; n--) {
			unsigned i = rest % n;

			rest /= n;
			vunmap(va[i]);
			va[i] = va[n - 1];
			bad += !aliases_of(f[0], va, n - 1) || mm_check(false);
		}
		bad += f[0]->alias.v & ~ALIAS_LOW;
	}
	ok(!bad, "chains of four, taken apart in every order");
	frame_free(f[0], 0);
}

/* One area maps a frame twice, and others besides; and a slot of kmap_local is an alias as well. */
static void test_twice(void)
{
	struct frame *list[7];
	void *va, *local[2];

	sim_boot(&(struct sim_config){.cpus = 2});
	get_frames(3);
	for (unsigned i = 0; i < 7; i++)
		list[i] = f[i % 3];
	va = vmap(list, 7, VM_W);
	ok(reads_right(1, (vaddr_t)va, list, 7) && frame_aliases(f[0]) == 3, "a frame three times");
	local[0] = kmap_local(f[0]);
	local[1] = kmap_local(f[0]);
	is_u64(frame_aliases(f[0]), 5, "and in two local slots");
	is_u64(mm_check(false), 0, "mm_check() agrees");
	kunmap_local(local[1]);
	vunmap(va);
	is_u64(frame_aliases(f[0]), 1, "one is left");
	kunmap_local(local[0]);
	ok(aliases_are(3, 0), "none is");
	frame_free_many(f, 3);
}

static enum lazy_policy policy;

/* A frame in the middle that may not be mapped: those before it lose the alias again. */
static void test_rollback(void)
{
	void *twice;

	sim_boot(&(struct sim_config){
		.cpus = 2, .eager = policy == LAZY_OFF, .keep = policy == LAZY_PTE});
	get_frames(9);
	twice = vmap(f, 2, VM_R);
	for (unsigned i = 0; i < 9; i++) {
		struct sim_snapshot was = sim_snapshot();

		frame_refuse_aliases(f[8]);
		for (unsigned k = 0; k < 9; k++) { /* the refused one at each place, all lengths */
			struct frame *tmp = f[8];

			f[8] = f[k];
			f[k] = tmp;
			KASSERT(k > i || !vmap(f, i + 1, VM_W), "a refused frame is mapped");
			KASSERT(sim_unchanged(&was, "refused") && frame_aliases(f[k ? 0 : 8]) <= 1,
				"page %u of %u refused, and something is left", k, i + 1);
			tmp = f[8];
			f[8] = f[k];
			f[k] = tmp;
		}
		frame_allow_aliases(f[8]);
		KASSERT(!mm_check(false), "%s", sim_printed());
	}
	ok(true, "%s: a refused frame at every place of every length changes nothing",
	   lazy_policy_name(policy));
	vunmap(twice);
	vm_unmap_aliases();
	frame_free_many(f, 9);
}

/* --- at once --- */

static u64 seed;

static void worker(void *arg __attribute__((unused)))
{
	struct frame *own = frame_alloc(0, 0);

	for (unsigned i = 0; i < 40; i++) {
		struct frame *list[5];
		unsigned n = 1 + sim_random(5);
		void *va;

		for (unsigned k = 0; k < n; k++)
			list[k] = sim_random(4) ? f[sim_random(2)] : own;
		if (!sim_random(4)) {
			va = kmap_local(list[0]);
			kunmap_local(va);
			continue;
		}
		va = vmap(list, n, VM_R);
		KASSERT(va, "no mapping: %s", sim_printed());
		KASSERT(frame_aliases(list[0]) && frame_mapped_live(list[0]), "not counted");
		for (unsigned k = 0; k < n; k++) {
			u64 v;

			KASSERT(!sim_read(sim.cpu, (vaddr_t)va + k * PAGE_SIZE, &v), "not mapped");
		}
		if (!sim_random(5))
			vm_unmap_frame_aliases(list, n, PURGE_PTES);
		vunmap(va);
	}
	vm_unmap_frame_aliases(&own, 1, PURGE_PTES); /* under pte some are lazy */
	KASSERT(!frame_aliases(own), "an alias of our own frame is left");
	frame_free(own, 0);
}

static void test_concurrent(void)
{
	sim_boot(&(struct sim_config){.cpus = 3, .seed = seed, .keep = seed % 3 == 0});
	get_frames(2);
	sim.store_buffer = seed % 2;
	sim_run_all(2 + seed % 2, 1 + (u32)seed % 3, worker, NULL);
	KASSERT(!mm_check(false), "%s", sim_printed());
	vm_unmap_aliases();
	ok(aliases_are(2, 0), "seed %lu: %lu chains on several CPUs", seed,
	   counter_sum(CNT_alias_slow));
	frame_free_many(f, 2);
}

int main(void)
{
	sim_scenario("single", test_single);
	sim_scenario("orders", test_orders);
	sim_scenario("twice", test_twice);
	for (policy = LAZY_OFF; policy < NR_LAZY_POLICIES; policy++)
		sim_scenario("rollback", test_rollback);
	for (seed = 1; seed <= 40; seed++)
		sim_scenario("concurrent", test_concurrent);
	return done_testing();
}
