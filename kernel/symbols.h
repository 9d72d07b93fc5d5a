// SPDX-License-Identifier: MIT
/*
 * Names for text addresses: the kernel carries its own symbol table, so a backtrace can be read
 * where it is printed. tools/symbols.py makes the table from `nm -n` of a first link and the second
 * link puts it at the end of .rodata, where it moves no function; a first link has an empty one.
 */
#ifndef KERNEL_SYMBOLS_H
#define KERNEL_SYMBOLS_H

#include "kernel/types.h"

/*
 * The table, sorted by address; section .symtab_blob. Addresses are 32-bit offsets from IMAGE_BASE,
 * names are NUL-terminated strings at name_at[i] in symtab_names.
 */
extern const u32 symtab_count;
extern const u32 symtab_addr[];
extern const u32 symtab_name_at[];
extern const char symtab_names[];

/*
 * symbol_lookup: the function that holds `addr`.
 *   => its name with *offset = addr - its start, or NULL (not in the image's text, or an empty
 *      table)
 *   => any context; offset may be NULL
 */
const char *symbol_lookup(u64 addr, u64 *offset);

#endif
