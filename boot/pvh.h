// SPDX-License-Identifier: MIT
/*
 * What the PVH door is handed: struct hvm_start_info and the two arrays it points to, as Xen's
 * public/arch-x86/hvm/start_info.h describes them. Xen invented it; QEMU, Firecracker and others
 * speak it as well.
 */
#ifndef BOOT_PVH_H
#define BOOT_PVH_H

#include "kernel/types.h"

#define PVH_MAGIC 0x336ec578u /* "xEn3", the E with bit 7 set */

/* From this version on the structure has the three fields of the memory map. */
#define PVH_VERSION_MEMMAP 1

struct pvh_start_info {
	u32 magic;
	u32 version;
	u32 flags;
	u32 nr_modules;
	u64 modules; /* physical addresses, these and the following; 0: none */
	u64 cmdline;
	u64 rsdp;
	u64 memmap;
	u32 nr_memmap;
	u32 reserved;
};

#define PVH_SIZE_VERSION_0 offsetof(struct pvh_start_info, memmap)

struct pvh_module {
	u64 start;
	u64 size;
	u64 cmdline; /* its text; 0: none */
	u64 reserved;
};

struct pvh_memmap_entry {
	u64 start;
	u64 size;
	u32 type; /* as E820's, which enum mem_type follows; higher ones are reserved to us */
	u32 reserved;
};

#endif
