// SPDX-License-Identifier: MIT
/*
 * Each call that makes mappings is made again and again, and each time another of the hypercalls it
 * needs is refused: it must say so and leave everything as it was: no frame gone, no area live,
 * nothing for the invariant walker to find. Which ones they are is not written down here: the first
 * is refused, then the second, until the call gets through.
 *
 * What cannot be taken back (an entry that cannot be cleared, a flush that is refused) panics by
 * name: `inject` refuses one during a command of the monitor, and the harness reads what becomes of
 * it (tests/harness/scenarios_xen.py).
 */
#include "xen/inject.h"
#include "kernel/cmd_mm.h"
#include "kernel/monitor.h"
#include "kernel/printk.h"
#include "kernel/string.h"
#include "mm/aspace.h"
#include "mm/check.h"
#include "mm/kmap.h"
#include "mm/vmalloc.h"
#include "tests/kernel/device.h"
#include "tests/kernel/support.h"

#define PAGES	  6u
#define MANY	  700u	    /* in two level-1 tables, more than a batch of either */
#define FAR_APART (4 * GiB) /* nobody else asks for it: tables of its own */
#define LIMIT	  2000ul    /* hypercalls of one call */
#define SPACE_VA  (3 * GiB)

static struct frame *f[MANY];
static paddr_t device;
static void *area;
static u64 apart = FAR_APART; /* grows: tables, once made, stay */
static struct aspace *space;

/* One thing to try. => `call` gives NULL if it was refused, else what `undo` takes back */
struct trial {
	const char *name;
	void *(*call)(void);
	void (*undo)(void *what);
	u64 least;  /* operations at which it must fail */
	u64 stride; /* every hypercall, or one of so many */
};

static void *call_vmap(void)
{
	return vmap(f, PAGES, VM_W);
}

static void *call_vmap_many(void)
{
	return vmap(f, MANY, VM_R);
}

static void *call_vm_map_ram(void)
{
	return vm_map_ram(f, PAGES, VM_W);
}

static void undo_vm_map_ram(void *va)
{
	vm_unmap_ram(va, PAGES);
}

static void *call_kmap(void)
{
	return kmap(f[0]);
}

/* A frame that has an alias already is mapped by the long way (mm/engine.c: set_page). */
static void *call_second(void)
{
	struct frame *twice[3] = {f[0], f[0], f[1]};

	return vmap(twice, 3, VM_W);
}

static void *call_vmalloc(void)
{
	return vmalloc(PAGES * PAGE_SIZE);
}

static void *call_vmalloc_apart(void)
{
	return vmalloc_aligned(PAGE_SIZE, apart);
}

static void undo_apart(void *va)
{
	apart *= 2;
	vfree(va);
}

static void *call_ioremap(void)
{
	return ioremap(device, PAGE_SIZE, VM_UC, "inject");
}

static void *call_area_map(void)
{
	return vm_area_map(area, 1, f, PAGES, VM_W) ? NULL : area;
}

static void undo_area_map(void *va)
{
	EXPECT(!vm_area_unmap(va, 1, PAGES), "what was mapped");
}

/* => all pages of the area can, or cannot, be written to */
static bool all_pages(const void *va, bool writable)
{
	bool same = true;

	for (unsigned i = 0; i < PAGES; i++)
		same &= !(entry_at((const u8 *)va + i * PAGE_SIZE) & PTE_W) == !writable;
	return same;
}

static void *call_protect(void)
{
	if (!vm_protect(area, VM_R))
		return area;
	EXPECT(all_pages(area, true), "a refused vm_protect has changed some pages");
	return NULL;
}

static void undo_protect(void *va)
{
	EXPECT(all_pages(va, false), "vm_protect left some pages writable");
	EXPECT(!vm_protect(va, VM_W), "back again");
}

static void undo_space(void *as)
{
	EXPECT(!aspace_destroy(as), "nobody runs on it");
}

static void *call_space_map(void)
{
	return aspace_map(space, SPACE_VA, PAGES, VM_W) ? NULL : space;
}

static void undo_space_map(void *as)
{
	EXPECT(!aspace_unmap(as, SPACE_VA, PAGES), "what was mapped");
}

static void *call_space_load(void)
{
	struct aspace *as = aspace_create("inject");

	if (!as || !aspace_load(as))
		return as;
	EXPECT(aspace_current() == space, "it runs on what it ran on before");
	undo_space(as);
	return NULL;
}

static void undo_space_load(void *as)
{
	EXPECT(!aspace_load(space), "it ran there before");
	undo_space(as);
}

/* Tables of a space whose root is pinned. */
static void *call_space_tables(void)
{
	struct aspace *as = call_space_load();

	if (!as || !aspace_map(as, SPACE_VA, PAGES, VM_W))
		return as;
	EXPECT(!aspace_frame(as, SPACE_VA) && !as->pages, "refused, but some pages are mapped");
	undo_space_load(as);
	return NULL;
}

/*
 * A call may get through all the same: for want of addresses mm/ tries again, and a table that was
 * refused counts as that. Then all of it must be there.
 *   => REFUSED, THROUGH or DONE: n is more than it needs; FAILED: further tries would say the same
 */
static enum outcome {
	REFUSED,
	THROUGH,
	DONE,
	FAILED
} refuse_one(const struct trial *t, u64 n)
{
	u64 at_hand, counted;
	void *got;

	vm_unmap_aliases();
	at_hand = mm_frames_at_hand();
	inject_arm(n, INJECT_SET, -EINVAL);
	got = t->call();
	counted = inject_disarm();
	EXPECT(got || counted >= n, "%s fails, and no hypercall did", t->name);
	if (got) {
		EXPECT(!mm_check(false), "%s: hypercall %lu refused, done all the same", t->name,
		       n);
		t->undo(got);
	}
	vm_unmap_aliases();
	EXPECT_EQ(mm_frames_at_hand(), at_hand);
	EXPECT(!mm_check(false), "%s: hypercall %lu refused", t->name, n);
	if (test_failed())
		return FAILED;
	return counted < n ? DONE : got ? THROUGH : REFUSED;
}

static void try(const struct trial *t)
{
	u64 n, refused = 0, through = 0;
	enum outcome o = refuse_one(t, LIMIT); /* none: addresses lie ready after it */

	EXPECT(o == DONE, "%s does not work at all", t->name);
	if (o == DONE)
		o = REFUSED;
	for (n = 1; n < LIMIT && o < DONE; n += t->stride) {
		o = refuse_one(t, n);
		refused += o == REFUSED;
		through += o == THROUGH;
	}
	EXPECT(o >= DONE, "%s: still refused at %lu", t->name, n);
	EXPECT(refused * t->stride >= t->least || o == FAILED,
	       "%s failed at %lu hypercalls, not at %lu", t->name, refused, t->least);
	printk("# %s: each of %lu operations refused%s: it fails at %lu, goes on at %lu\n", t->name,
	       n - 1 - t->stride, t->stride > 1 ? " (not all tried)" : "", refused, through);
}

static bool ready(void)
{
	if (platform != &xen_platform) {
		test_skip("not a guest of Xen's: there are no hypercalls to fail");
		return false;
	}
	return take_frames(f, MANY);
}

static void try_all(const struct trial *t, unsigned n)
{
	for (unsigned i = 0; i < n && !test_failed(); i++)
		try(t + i);
}

KTEST(inject, mappings_are_refused_as_a_whole)
{
	static const struct trial trials[] = {
		{"vmap", call_vmap, vunmap, PAGES, 1},
		{"vmap of many", call_vmap_many, vunmap, MANY - 97, 97},
		{"vmap of a frame twice", call_second, vunmap, 3, 1},
		{"vm_map_ram", call_vm_map_ram, undo_vm_map_ram, PAGES, 1},
		{"kmap", call_kmap, kunmap, 1, 1},
		{"vmalloc", call_vmalloc, vfree, PAGES, 1},
	};
	if (!ready())
		return;
	try_all(trials, ARRAY_SIZE(trials));
	frame_free_many(f, MANY);
}

/* A refused table counts as no addresses, and others are looked for. */
KTEST(inject, tables_are_refused)
{
	static const struct trial trial = {"vmalloc, far away", call_vmalloc_apart, undo_apart, 1,
					   1};

	if (apart > FAR_APART)
		return test_skip("the addresses far away have their tables already: boot again");
	if (ready()) {
		try(&trial);
		frame_free_many(f, MANY);
	}
}

KTEST(inject, devices_are_refused_as_a_whole)
{
	static const struct trial trial = {"ioremap", call_ioremap, iounmap, 1, 1};

	if (platform != &xen_platform)
		return test_skip("not a guest of Xen's: there are no hypercalls to fail");
	device = device_page();
	if (device)
		try(&trial);
}

KTEST(inject, pages_of_an_area_are_refused_as_a_whole)
{
	static const struct trial trials[] = {
		{"vm_area_map", call_area_map, undo_area_map, PAGES, 1},
	};

	if (!ready())
		return;
	area = vm_area_reserve(PAGES + 2, 1, "inject");
	EXPECT(area, "no addresses");
	if (area)
		try_all(trials, ARRAY_SIZE(trials));
	vm_area_free(area);
	frame_free_many(f, MANY);
}

KTEST(inject, rights_are_refused_as_a_whole)
{
	static const struct trial trial = {"vm_protect", call_protect, undo_protect, PAGES, 1};

	if (!ready())
		return;
	area = vmap(f, PAGES, VM_W);
	EXPECT(area, "no memory");
	if (area)
		try(&trial);
	vunmap(area);
	frame_free_many(f, MANY);
}

KTEST(inject, spaces_are_refused_as_a_whole)
{
	static const struct trial trials[] = {
		{"aspace_map", call_space_map, undo_space_map, PAGES, 1},
		{"aspace_load", call_space_load, undo_space_load, 2, 1},
		{"aspace_map with tables", call_space_tables, undo_space_load, 2 + 4 + PAGES, 1},
	};

	if (!ready())
		return;
	space = aspace_create("injected");
	EXPECT(space, "no memory");
	if (space) {
		EXPECT(!aspace_load(space), "its tables are Xen's business from here on");
		try_all(trials, ARRAY_SIZE(trials));
		aspace_leave();
		undo_space(space);
	}
	frame_free_many(f, MANY);
}

static const char *const kinds[] = {
	[INJECT_SET] = "set",	  [INJECT_CLEAR] = "clear", [INJECT_FLUSH] = "flush",
	[INJECT_EVENT] = "event", [INJECT_ANY] = "any",
};

/* => INJECT_ANY + 1: there is none of that name */
static enum inject_what kind_named(const char *name)
{
	enum inject_what what = INJECT_SET;

	while (what <= INJECT_ANY && strcmp(name, kinds[what]))
		what++;
	return what;
}

COMMAND(inject, "set|clear|flush|event|any N COMMAND...",
	"run a command; of the hypercalls of that kind that it makes the N-th fails")
{
	char line[MONITOR_LINE_MAX] = "";
	enum inject_what what = argc > 1 ? kind_named(argv[1]) : INJECT_ANY;
	u64 n, counted;
	int err;

	if (argc < 4 || what > INJECT_ANY || parse_u64(argv[2], &n) || !n)
		return CMD_USAGE;
	if (platform != &xen_platform) {
		printk("inject: this is not a guest of Xen's (make run-xen)\n");
		return -ENODEV;
	}
	for (int i = 3; i < argc; i++) {
		strlcpy(line + strlen(line), argv[i], sizeof(line) - strlen(line));
		strlcpy(line + strlen(line), " ", sizeof(line) - strlen(line));
	}
	inject_arm(n, what, -EINVAL);
	err = monitor_exec(line);
	counted = inject_disarm();
	printk("inject: %s %lu: %s\n", kinds[what], n,
	       counted < n ? "so many were not asked for" : "was refused");
	return err;
}
