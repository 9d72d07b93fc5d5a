// SPDX-License-Identifier: MIT
/*
 * The ACPI parser against a megabyte of memory with tables in it: good ones in both generations,
 * found by each way there is, then every kind of damage. Beside the cases that have a name there
 * are two sweeps: each byte of the tables wrong, one at a time (the checksum must catch it), and
 * wrong with the checksum put right again (whatever comes out must be in bounds; ASan watches the
 * rest).
 */
// links: arch/x86/acpi.c
#include "arch/x86/acpi.h"
#include "kernel/errno.h"
#include "tests/fuzz/phys_image.h"
#include "tests/host/acpi_image.h"
#include "tests/host/tap.h"

static struct madt_info info;
static const char *why;

/* => what the parser says, told where the root pointer is; *why afterwards */
static int parse_at(paddr_t pa, const u8 *copy, u64 memory)
{
	int err;

	why = NULL;
	memset(&info, 0xee, sizeof(info));
	phys_image(0, mem, memory);
	err = acpi_parse_madt(pa, copy, phys_image_read, &info, &why);
	phys_image_done();
	return err;
}

static u16 pm_port(void)
{
	u16 port;

	phys_image(0, mem, sizeof(mem));
	port = acpi_pm_timer_port(rsdp, NULL, phys_image_read);
	phys_image_done();
	return port;
}

/* A refusal describes the machine there is without ACPI, and says a sentence. */
static void refused(int err, const char *name)
{
	is_u64((u64)parse_at(rsdp, NULL, sizeof(mem)), (u64)err, "%s is refused", name);
	ok(why && !info.nr_cpus && !info.nr_ioapics && !info.nr_overrides && !info.nr_left_out &&
		   info.lapic_addr == 0xfee00000,
	   "... with an empty result, because %s", why ? why : "(nothing said)");
}

static void check_good(const char *name)
{
	is_u64(info.lapic_addr, 0xfee00000, "%s: the local APIC's address", name);
	is_u64(info.nr_cpus, 4, "%s: four CPUs", name);
	ok(info.apic_id[0] == 0 && info.apic_id[3] == 3, "%s: their ids, in order", name);
	is_u64(info.nr_left_out, 0, "%s: none left out", name);
	ok(info.nr_ioapics == 1 && info.ioapic[0].addr == 0xfec00000 && !info.ioapic[0].gsi_base,
	   "%s: the IO-APIC", name);
	ok(info.nr_overrides == 2 && info.override[0].gsi == 2 && !info.override[0].level &&
		   !info.override[0].active_low,
	   "%s: the timer's override conforms to its bus", name);
	ok(info.override[1].isa_irq == 9 && info.override[1].level && !info.override[1].active_low,
	   "%s: the SCI's is level, active high", name);
}

static void test_good(void)
{
	u8 copy[RSDP_COPY_SIZE];

	for (u8 revision = 0; revision <= 2; revision += 2) {
		const char *name = revision ? "XSDT" : "RSDT";

		build(revision);
		is_u64((u64)parse_at(rsdp, NULL, sizeof(mem)), 0, "%s: found where we are told",
		       name);
		check_good(name);
		is_u64((u64)parse_at(0, NULL, sizeof(mem)), 0, "%s: found in the BIOS ROM", name);
		memcpy(copy, mem + rsdp, sizeof(copy));
		memset(mem + rsdp, 0, sizeof(copy));
		is_u64((u64)parse_at(0, copy, sizeof(mem)), 0, "%s: by the loader's copy", name);
		is_u64(info.nr_cpus, 4, "... the same CPUs");
		is_u64((u64)parse_at(0, NULL, sizeof(mem)), (u64)-ENOENT,
		       "%s: the search finds nothing where nothing is", name);
		memcpy(mem + 0x9fc10, copy, sizeof(copy));
		mem[0x40e] = 0xc0; /* the EBDA's segment: 0x9fc0 */
		mem[0x40f] = 0x9f;
		is_u64((u64)parse_at(0, NULL, sizeof(mem)), 0, "%s: found in the EBDA", name);
	}
}

static void test_old_pointer_at_the_end_of_memory(void)
{
	build(0);
	memmove(mem + sizeof(mem) - 20, mem + rsdp, 20);
	is_u64((u64)parse_at(sizeof(mem) - 20, NULL, sizeof(mem)), 0,
	       "an ACPI 1.0 pointer needs its 20 bytes and no more");
}

static void test_bad_roots(void)
{
	build(2);
	mem[rsdp]++;
	refused(-EBADMSG, "a pointer with a wrong signature");
	build(2);
	mem[rsdp + 16]++;
	refused(-EBADMSG, "a pointer with a wrong checksum");
	build(2);
	mem[rsdp + 33]++;
	refused(-EBADMSG, "a pointer with a wrong extended checksum");
	build(2);
	set32(rsdp + 20, 1u << 31);
	fix(rsdp, 36, rsdp + 32);
	refused(-EBADMSG, "a pointer of absurd length");
	build(2);
	rsdp = sizeof(mem) - 10;
	refused(-EBADMSG, "a pointer that is cut off by the end of memory");

	build(2);
	set32(rsdp + 24, 0xfffffff0);
	fix_rsdp();
	refused(-EFAULT, "a root table outside of memory");
	build(2);
	set32(rsdp + 24, 0xfffffff0);
	set32(rsdp + 28, 0xffffffff);
	fix_rsdp();
	refused(-EFAULT, "a root table at the end of the address space");
	build(2);
	memcpy(mem + root, "RSDT", 4);
	fix_table(root);
	refused(-EBADMSG, "an RSDT where the XSDT should be");
	build(0);
	set32(root + 4, HEADER - 1);
	fix_table(root);
	refused(-EBADMSG, "a root table shorter than its header");
	build(0);
	set32(root + 4, 0xffffffff);
	refused(-EBADMSG, "a root table of absurd length");
	build(0);
	set32(root + 4, 512 * KiB);
	refused(-EFAULT, "a root table longer than memory");
	build(0);
	mem[root + HEADER]++;
	refused(-EBADMSG, "a root table with a wrong checksum");
	build(0);
	set32(root + 4, HEADER + 7); /* the FADT's entry and three bytes of the MADT's */
	fix_table(root);
	refused(-ENOENT, "a root table that ends within the MADT's entry");
}

static void test_bad_madt(void)
{
	build(2);
	memcpy(mem + madt, "APIX", 4);
	refused(-ENOENT, "no MADT");
	build(2);
	mem[madt + 44]++;
	refused(-EBADMSG, "a MADT with a wrong checksum");
	build(2);
	set32(madt + 4, HEADER + 4);
	fix_table(madt);
	refused(-EBADMSG, "a MADT that ends before its flags");
	build(2);
	set32(madt + 4, 512 * KiB);
	refused(-EFAULT, "a MADT longer than memory");
	build(2);
	mem[madt + 44 + 1] = 0;
	fix_table(madt);
	refused(-EBADMSG, "an entry of length 0");
	build(2);
	set32(madt + 4, get32(madt + 4) - 1);
	fix_table(madt);
	refused(-EBADMSG, "a last entry that sticks out of the table");
	build(2);
	set32(madt + 4, 44 + 1);
	fix_table(madt);
	refused(-EBADMSG, "half an entry's header");
}

static int parse_own(void)
{
	table_end(madt);
	put_roots(2);
	return parse_at(rsdp, NULL, sizeof(mem));
}

/* An entry that is too short for its type, and with that all there is. */
static void test_short_entries(void)
{
	static const u8 entry[][2] = {{0, 8}, {1, 12}, {2, 10}, {5, 12}, {9, 16}};

	for (unsigned i = 0; i < ARRAY_SIZE(entry); i++) {
		build_begin();
		put8(entry[i][0]);
		put8(entry[i][1] - 1);
		end += entry[i][1] - 3u;
		is_u64((u64)parse_own(), (u64)-EBADMSG, "an entry of type %u, a byte short",
		       entry[i][0]);
		build_begin();
		put8(entry[i][0]);
		put8(entry[i][1]);
		end += entry[i][1] - 2u;
		is_u64((u64)parse_own(), 0, "and one that is not");
	}
}

static void test_processors(void)
{
	build_begin();
	put_lapic(7, 0); /* disabled */
	put_lapic(5, 2); /* could be plugged in, but is not there */
	put_lapic(3, 1);
	put_x2apic(3, 1); /* the same one again */
	put_lapic(0xff, 1);
	put_x2apic(0xffffffff, 1);
	put_x2apic(0x12345, 1);
	put_x2apic(0x12346, 0);
	is_u64((u64)parse_own(), 0, "a mixture of processor entries parses");
	is_u64(info.nr_cpus, 2, "of them are enabled, valid and different");
	ok(info.apic_id[0] == 3 && info.apic_id[1] == 0x12345, "the right two");

	build_begin();
	for (u32 id = 0; id < MAX_CPUS + 9; id++)
		put_x2apic(id, 1);
	is_u64((u64)parse_own(), 0, "too many CPUs parse");
	is_u64(info.nr_cpus, MAX_CPUS, "as many as we have room for");
	is_u64(info.nr_left_out, 9, "the others are counted");

	build_begin();
	is_u64((u64)parse_own(), 0, "a MADT without entries parses");
	is_u64(info.nr_cpus, 0, "and lists nobody");
}

static void test_controllers(void)
{
	build_begin();
	put_lapic_addr(0x123456789000);
	for (u32 i = 0; i < MADT_MAX_IOAPICS + 2; i++)
		put_ioapic(0xfec00000 + i * 0x1000, i * 24);
	put_override(1, 4, 99, 0); /* not ISA: not ours */
	put_override(0, 4, 20, 0xf);
	for (u8 i = 0; i < MADT_MAX_OVERRIDES + 2; i++)
		put_override(0, i, i, 5);
	put8(4); /* a type we do not know, longer than our largest */
	put8(200);
	end += 198;
	put_lapic(1, 1);
	is_u64((u64)parse_own(), 0, "many controllers and an unknown entry parse");
	is_u64(info.lapic_addr, 0x123456789000,
	       "the local APIC's 64-bit address replaces the other");
	is_u64(info.nr_ioapics, MADT_MAX_IOAPICS, "surplus IO-APICs are ignored");
	is_u64(info.ioapic[7].gsi_base, 7 * 24, "the last one kept");
	is_u64(info.nr_overrides, MADT_MAX_OVERRIDES, "surplus overrides are ignored");
	ok(info.override[0].gsi == 20 && info.override[0].active_low && info.override[0].level,
	   "the first one kept is the ISA one, active low, level");
	ok(!info.override[1].active_low && !info.override[1].level, "active high, edge");
	is_u64(info.nr_cpus, 1, "the entry after the unknown one is found");
}

static void test_pm_timer(void)
{
	build(0);
	is_u64(pm_port(), 0x608, "the PM timer's port, by the RSDT");
	build(2);
	is_u64(pm_port(), 0x608, "and by the XSDT");
	mem[fadt + 80]++;
	is_u64(pm_port(), 0, "none from a FADT with a wrong checksum");
	is_u64((u64)parse_at(rsdp, NULL, sizeof(mem)), 0, "which is nothing to the MADT");
	build(2);
	mem[fadt + 91] = 0;
	fix_table(fadt);
	is_u64(pm_port(), 0, "none where the FADT says there is none");
	build(2);
	set32(fadt + 76, 0x10608);
	fix_table(fadt);
	is_u64(pm_port(), 0, "none beyond the ports there are");
	build(2);
	set32(fadt + 4, 91);
	fix_table(fadt);
	is_u64(pm_port(), 0, "none from a FADT that ends before it");
	build(2);
	mem[rsdp]++;
	is_u64(pm_port(), 0, "none without a root pointer");
}

/* => bytes of [at, at + n) that can be wrong without a refusal */
static unsigned undetected(u32 at, u32 n)
{
	unsigned count = 0;

	for (u32 i = at; i < at + n; i++) {
		mem[i] ^= 0x10;
		count += !parse_at(rsdp, NULL, sizeof(mem));
		mem[i] ^= 0x10;
	}
	return count;
}

static bool in_bounds(void)
{
	return info.nr_cpus <= MAX_CPUS && info.nr_ioapics <= MADT_MAX_IOAPICS &&
	       info.nr_overrides <= MADT_MAX_OVERRIDES;
}

/* Every value in every byte of a table, under a good checksum. => the number of bad results */
static unsigned sweep_table(u32 at, u32 n)
{
	unsigned bad = 0;

	for (u32 i = at; i < at + n; i++) {
		u8 was = mem[i];

		for (unsigned v = 0; v < 256; v++) {
			int err;

			mem[i] = (u8)v;
			fix(at, n, at + 9);
			err = parse_at(rsdp, NULL, end);
			bad += !in_bounds() || (err && !why);
		}
		mem[i] = was;
	}
	fix(at, n, at + 9);
	return bad;
}

static void test_sweeps(void)
{
	unsigned bad = 0;
	u32 top;

	build(2);
	is_u64(undetected(rsdp, 36), 0, "a wrong byte in the pointer is always found out");
	is_u64(undetected(root, HEADER + 16), 0, "a wrong byte in the root table too");
	is_u64(undetected(madt, get32(madt + 4)), 0, "and in the MADT");
	is_u64(sweep_table(root, HEADER + 16), 0, "no value in the root table leads astray");
	is_u64(sweep_table(madt, get32(madt + 4)), 0, "nor in the MADT");
	top = end;
	for (u32 memory = fadt; memory < top; memory++) {
		int err = parse_at(rsdp, NULL, memory);

		bad += err == 0 || !why;
	}
	is_u64(bad, 0, "memory that ends anywhere within the tables is refused");
}

int main(void)
{
	test_good();
	test_old_pointer_at_the_end_of_memory();
	test_bad_roots();
	test_bad_madt();
	test_short_entries();
	test_processors();
	test_controllers();
	test_pm_timer();
	test_sweeps();
	return done_testing();
}
