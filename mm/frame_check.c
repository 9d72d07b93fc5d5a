// SPDX-License-Identifier: MIT
/*
 * Counting frames by walking them, and holding the allocator's lists against what the frames say of
 * themselves. Nothing here is on any path but the monitor's and the walker's (mm/check.c).
 */
#include "mm/early.h"
#include "mm/frame_cache.h"

u64 frame_free_total(void)
{
	u64 n = GLANCE(frame_zones[ZONE_DIRECT].free) + GLANCE(frame_zones[ZONE_HIGH].free);

	for (unsigned cpu = 0; cpu < MAX_CPUS; cpu++)
		n += GLANCE(frame_caches[cpu].nr);
	return n;
}

void frame_stats(struct frame_stats *st)
{
	u64 by_type[FRAME_TYPES + 1] = {0}; /* the last: what is no type at all */

	*st = (struct frame_stats){.free_high = frame_zones[ZONE_HIGH].free};
	for (unsigned r = 0; r < early_nr_ram; r++) {
		st->total += early_ram[r].end - early_ram[r].start;
		for (u64 p = early_ram[r].start; p < early_ram[r].end; p++)
			by_type[MIN(frames[p].type, FRAME_TYPES)]++;
	}
	st->reserved = by_type[FRAME_RESERVED];
	st->free = by_type[FRAME_FREE];
	st->cached = by_type[FRAME_CACHED];
	st->used = by_type[FRAME_USED];
	st->held = by_type[FRAME_HELD];
	st->tables = by_type[FRAME_TABLE];
	st->space = by_type[FRAME_SPACE];
}

/* Walks the lists of a zone. => frames on them; faults are added to *faults */
static u64 check_zone_lists(unsigned zone, unsigned *faults)
{
	struct zone *z = &frame_zones[zone];
	u64 total = 0;

	for (unsigned k = 0; k <= FRAME_MAX_ORDER; k++) {
		u32 prev = FRAME_NIL;

		for (u32 pfn = z->head[k]; pfn != FRAME_NIL; prev = pfn, pfn = frames[pfn].next) {
			if (!frame_is_free_head(pfn, k, (u8)zone) || frames[pfn].prev != prev ||
			    !IS_ALIGNED(pfn, 1u << k)) {
				printk("check: frame %#x on list %u of zone %u does not belong there\n",
				       pfn, k, zone);
				++*faults;
				break; /* its links may lead anywhere */
			}
			total += 1ull << k;
		}
	}
	return total;
}

/* => frames in the caches; faults are added to *faults */
static u64 check_caches(unsigned *faults)
{
	u64 total = 0;

	for (unsigned cpu = 0; cpu < MAX_CPUS; cpu++) {
		const struct frame_cache *c = &frame_caches[cpu];

		for (u64 i = 0; i < MIN(c->nr, FRAME_CACHE_SLOTS); i++) {
			const struct frame *f = c->slot[i];

			if (IS_ALIGNED((u64)f, sizeof(*f)) && frame_valid(frame_pfn(f)) &&
			    f->what == FRAME_SINGLE(FRAME_CACHED))
				continue;
			printk("check: CPU %u's cache has %p, which is no cached frame\n", cpu,
			       (const void *)f);
			++*faults;
		}
		total += c->nr;
	}
	return total;
}

unsigned frame_check(void)
{
	struct frame_stats st;
	unsigned faults = 0;
	u64 cached;

	for (unsigned zone = 0; zone < NR_ZONES; zone++) {
		u64 listed = check_zone_lists(zone, &faults);

		if (listed != frame_zones[zone].free) {
			printk("check: zone %u lists %lu free frames, counts %lu\n", zone, listed,
			       frame_zones[zone].free);
			faults++;
		}
	}
	cached = check_caches(&faults);
	frame_stats(&st);
	if (st.total !=
	    st.reserved + st.free + st.cached + st.used + st.held + st.tables + st.space) {
		printk("check: some frames have no known type\n");
		faults++;
	}
	if (st.cached != cached ||
	    st.free != frame_zones[ZONE_DIRECT].free + frame_zones[ZONE_HIGH].free) {
		printk("check: frames typed free %lu and cached %lu, counted %lu and %lu\n",
		       st.free, st.cached,
		       frame_zones[ZONE_DIRECT].free + frame_zones[ZONE_HIGH].free, cached);
		faults++;
	}
	return faults;
}
