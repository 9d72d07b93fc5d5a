// SPDX-License-Identifier: MIT
/*
 * A megabyte of physical memory and the means to lay ACPI tables out in it, byte by byte and at odd
 * addresses, with good checksums. Damage is done to the result, and the checksum put right again by
 * fix_table() where the damage shall get past it. Section numbers: ACPI Specification 6.5.
 */
#ifndef TESTS_HOST_ACPI_IMAGE_H
#define TESTS_HOST_ACPI_IMAGE_H

#include "kernel/types.h"
#include "tests/host/tap.h"

#define HEADER 36u /* of every table: ACPI 6.5, 5.2.6 */

static u8 mem[1 * MiB]; /* physical memory from 0 on */
static u32 end;		/* where the next table goes */

/* Where the parts of the current set of tables lie. */
static u32 rsdp, root, madt, fadt;

static void put8(u8 v)
{
	mem[end++] = v;
}

static void put16(u16 v)
{
	put8((u8)v);
	put8((u8)(v >> 8));
}

static void put32(u32 v)
{
	put16((u16)v);
	put16((u16)(v >> 16));
}

static void put64(u64 v)
{
	put32((u32)v);
	put32((u32)(v >> 32));
}

static void set32(u32 at, u32 v)
{
	memcpy(mem + at, &v, sizeof(v));
}

static u32 get32(u32 at)
{
	u32 v;

	memcpy(&v, mem + at, sizeof(v));
	return v;
}

/* Makes the `n` bytes at `at` sum to zero by the one at `checksum`. */
static void fix(u32 at, u32 n, u32 checksum)
{
	u8 sum = 0;

	mem[checksum] = 0;
	for (u32 i = 0; i < n; i++)
		sum += mem[at + i];
	mem[checksum] = (u8)-sum;
}

static void fix_table(u32 at)
{
	fix(at, get32(at + 4), at + 9);
}

static void fix_rsdp(void)
{
	fix(rsdp, 20, rsdp + 8);
	if (mem[rsdp + 15] >= 2)
		fix(rsdp, 36, rsdp + 32);
}

static u32 table_begin(const char *signature)
{
	u32 at = end += 3; /* at odd addresses: nothing may be taken as aligned */

	memset(mem + at, 0, HEADER);
	memcpy(mem + at, signature, 4);
	end += HEADER;
	return at;
}

static void table_end(u32 at)
{
	set32(at + 4, end - at);
	fix_table(at);
}

static void madt_begin(void)
{
	madt = table_begin("APIC");
	put32(0xfee00000);
	put32(1);
}

static void put_lapic(u8 id, u32 flags)
{
	put8(0);
	put8(8);
	put8(id);
	put8(id);
	put32(flags);
}

static void put_x2apic(u32 id, u32 flags)
{
	put8(9);
	put8(16);
	put16(0);
	put32(id);
	put32(flags);
	put32(id);
}

static void put_ioapic(u32 addr, u32 gsi_base)
{
	put8(1);
	put8(12);
	put16(0);
	put32(addr);
	put32(gsi_base);
}

static void put_override(u8 bus, u8 irq, u32 gsi, u16 flags)
{
	put8(2);
	put8(10);
	put8(bus);
	put8(irq);
	put32(gsi);
	put16(flags);
}

static void put_lapic_addr(u64 addr)
{
	put8(5);
	put8(12);
	put16(0);
	put64(addr);
}

static void put_fadt(u32 port, u8 len)
{
	fadt = table_begin("FACP");
	memset(mem + end, 0, 268 - HEADER);
	end = fadt + 268; /* ACPI 5.0's length; the fields used are where they always were */
	set32(fadt + 76, port);
	mem[fadt + 91] = len;
	table_end(fadt);
}

/* The root table and the root pointer of `revision`, over what has been built. */
static void put_roots(u8 revision)
{
	bool wide = revision >= 2;

	root = table_begin(wide ? "XSDT" : "RSDT");
	for (u32 i = 0; i < 2; i++) {
		if (wide)
			put64(i ? madt : fadt);
		else
			put32(i ? madt : fadt);
	}
	table_end(root);

	rsdp = end = ALIGN_UP(end, 16u);
	memset(mem + rsdp, 0, 36);
	memcpy(mem + rsdp, "RSD PTR ", 8);
	mem[rsdp + 15] = revision;
	if (wide) {
		set32(rsdp + 20, 36);
		set32(rsdp + 24, root);
	} else {
		set32(rsdp + 16, root);
	}
	fix_rsdp();
	end += 36;
}

/* Tables as QEMU's q35 makes them for four CPUs. */
static void build(u8 revision)
{
	memset(mem, 0, sizeof(mem));
	end = 0xe1000;
	put_fadt(0x608, 4);
	madt_begin();
	for (u8 id = 0; id < 4; id++)
		put_lapic(id, 1);
	put_ioapic(0xfec00000, 0);
	put_override(0, 0, 2, 0);
	put_override(0, 9, 9, 0xd);
	table_end(madt);
	put_roots(revision);
}

/* Begins a set of tables with a MADT of one's own; parse_own() makes the rest. */
static void build_begin(void)
{
	memset(mem, 0, sizeof(mem));
	end = 0xe1000;
	put_fadt(0x608, 4);
	madt_begin();
}

#endif
