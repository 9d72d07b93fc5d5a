// SPDX-License-Identifier: MIT
/*
 * The PVH door's hand-over: one structure with pointers to everything else. Each pointer is one
 * that may lie, so everything is read through the phys_reader, whole arrays at once and strings
 * byte by byte up to their NUL, and copied before it is looked at. Layout: boot/pvh.h.
 */
#include "boot/pvh.h"
#include "boot/boot_info.h"
#include "kernel/errno.h"
#include "kernel/string.h"

/*
 * A NUL-terminated string at `pa`; "" if pa is 0.
 *   => 0, -EFAULT, or -E2BIG: no NUL in `size` bytes; dst holds the first size - 1
 */
static int copy_string(char *dst, size_t size, paddr_t pa, phys_reader read)
{
	dst[0] = '\0';
	if (!pa)
		return 0;
	for (size_t i = 0; i < size; i++) {
		const char *c = read(pa + i, 1);

		if (!c) {
			dst[i] = '\0';
			return -EFAULT;
		}
		dst[i] = *c;
		if (!*c)
			return 0;
	}
	dst[size - 1] = '\0';
	return -E2BIG;
}

static int read_cmdline(struct boot_info *bi, paddr_t pa, phys_reader read, const char **why)
{
	switch (copy_string(bi->cmdline, sizeof(bi->cmdline), pa, read)) {
	case -EFAULT:
		return boot_refuse(why, -EFAULT, "the command line lies outside of memory");
	case -E2BIG:
		return boot_refuse(why, -E2BIG,
				   "the command line is longer than 1023 bytes: shorten it");
	}
	return 0;
}

static int read_memmap(struct boot_info *bi, const struct pvh_start_info *si, phys_reader read,
		       const char **why)
{
	struct pvh_memmap_entry e;
	const u8 *map;

	if (!si->memmap || !si->nr_memmap)
		return boot_refuse(why, -EINVAL, "the PVH start info has no memory map");
	if (si->nr_memmap > BOOT_MAX_RANGES)
		return boot_refuse(why, -E2BIG, "the memory map has more than 128 ranges");
	map = read(si->memmap, si->nr_memmap * sizeof(e));
	if (!map)
		return boot_refuse(why, -EFAULT, "the memory map lies outside of memory");
	for (u32 i = 0; i < si->nr_memmap; i++) {
		int err;

		memcpy(&e, map + i * sizeof(e), sizeof(e));
		err = boot_info_add_range(bi, e.start, e.size, e.type, why);
		if (err)
			return err;
	}
	return 0;
}

static int read_modules(struct boot_info *bi, const struct pvh_start_info *si, phys_reader read,
			const char **why)
{
	struct boot_module *to;
	struct pvh_module m;
	const u8 *list;
	int err;

	if (!si->nr_modules)
		return 0;
	if (si->nr_modules > BOOT_MAX_MODULES)
		return boot_refuse(why, -E2BIG, "there are more than 8 modules: load fewer");
	list = read(si->modules, si->nr_modules * sizeof(m));
	if (!list)
		return boot_refuse(why, -EFAULT, "the list of modules lies outside of memory");
	for (u32 i = 0; i < si->nr_modules; i++) {
		memcpy(&m, list + i * sizeof(m), sizeof(m));
		err = boot_info_add_module(bi, m.start, m.size, &to, why);
		if (err)
			return err;
		/* A name that is too long is cut: it is only shown. */
		if (copy_string(to->name, sizeof(to->name), m.cmdline, read) == -EFAULT)
			return boot_refuse(why, -EFAULT, "a module's name lies outside of memory");
	}
	return 0;
}

int boot_info_from_pvh(struct boot_info *bi, paddr_t pa, phys_reader read, const char **why)
{
	struct pvh_start_info si;
	const void *p = read(pa, PVH_SIZE_VERSION_0);
	int err;

	memset(bi, 0, sizeof(*bi));
	bi->door = "pvh";
	if (!p)
		return boot_refuse(why, -EFAULT, "the PVH start info lies outside of memory");
	memcpy(&si, p, PVH_SIZE_VERSION_0);
	if (si.magic != PVH_MAGIC)
		return boot_refuse(why, -EINVAL, "the PVH start info has a wrong magic number");
	if (si.version < PVH_VERSION_MEMMAP)
		return boot_refuse(
			why, -EINVAL,
			"the PVH start info is of version 0, which has no memory map: use a "
			"newer QEMU, or GRUB");
	p = read(pa, sizeof(si));
	if (!p)
		return boot_refuse(why, -EFAULT, "the PVH start info is cut off");
	memcpy(&si, p, sizeof(si));
	bi->rsdp = si.rsdp;
	err = read_memmap(bi, &si, read, why);
	if (!err)
		err = read_modules(bi, &si, read, why);
	if (!err)
		err = read_cmdline(bi, si.cmdline, read, why);
	return err;
}
