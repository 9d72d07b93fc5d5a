// SPDX-License-Identifier: MIT
/*
 * A binary search in a sorted table. The table's format is in symbols.h, its maker is
 * tools/symbols.py. The last symbol has no end of its own: the maker adds one with an empty name
 * at the end of the text, so that an address beyond it has no name rather than a wrong one.
 */
#include "kernel/symbols.h"
#include "mm/layout.h"

const char *symbol_lookup(u64 addr, u64 *offset)
{
	u64 rel = addr - IMAGE_BASE;
	u32 low = 0, high = symtab_count; /* the answer, if any, is in [low, high) */
	const char *name;

	if (!symtab_count || rel < symtab_addr[0] || rel >= IMAGE_SIZE)
		return NULL;
	while (high - low > 1) {
		u32 mid = low + (high - low) / 2;

		if (symtab_addr[mid] <= rel)
			low = mid;
		else
			high = mid;
	}
	name = &symtab_names[symtab_name_at[low]];
	if (!*name)
		return NULL;
	if (offset)
		*offset = rel - symtab_addr[low];
	return name;
}
