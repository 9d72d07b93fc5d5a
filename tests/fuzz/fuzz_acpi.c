// SPDX-License-Identifier: MIT
/*
 * The input: one byte, how the root pointer is found; then the memory at the BIOS area's address.
 * A fuzzer does not guess checksums, so each table that begins at a 64-byte boundary gets a right
 * one first, as the root pointer does; bit 7 of the first byte asks to leave them all as they are.
 */
// links: arch/x86/acpi.c
#include <string.h>
#include "arch/x86/acpi.h"
#include "kernel/errno.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/phys_image.h"

#define IMAGE_ADDR 0xe0000 /* also where a search begins */
#define TABLE_STEP 64

enum {
	BY_ADDRESS,
	BY_COPY,
	BY_SEARCH,
	WAYS,
	KEEP_CHECKSUMS = 0x80
};

/* ACPI 5.2.5.3, 5.2.6 */
#define RSDP_CHECKSUM	  8
#define RSDP_OLD_SIZE	  20
#define RSDP_EXT_CHECKSUM 32
#define TABLE_LENGTH	  4
#define TABLE_CHECKSUM	  9
#define TABLE_HEADER	  36

static void mend(u8 *p, size_t n, size_t checksum_at)
{
	u8 sum = 0;

	p[checksum_at] = 0;
	for (size_t i = 0; i < n; i++)
		sum += p[i];
	p[checksum_at] = -sum;
}

static void mend_all(u8 *p, size_t size)
{
	u32 length;

	if (size >= RSDP_OLD_SIZE)
		mend(p, RSDP_OLD_SIZE, RSDP_CHECKSUM);
	if (size >= RSDP_COPY_SIZE)
		mend(p, RSDP_COPY_SIZE, RSDP_EXT_CHECKSUM);
	for (size_t at = TABLE_STEP; at + TABLE_HEADER <= size; at += TABLE_STEP) {
		memcpy(&length, p + at + TABLE_LENGTH, sizeof(length));
		if (length >= TABLE_HEADER && length <= size - at)
			mend(p + at, length, TABLE_CHECKSUM);
	}
}

static void check_madt(int err, const struct madt_info *m)
{
	CHECK(m->nr_cpus <= MAX_CPUS && m->nr_ioapics <= MADT_MAX_IOAPICS);
	CHECK(m->nr_overrides <= MADT_MAX_OVERRIDES);
	CHECK(!err || (!m->nr_cpus && !m->nr_left_out && !m->nr_ioapics && !m->nr_overrides));
	for (unsigned i = 0; i < m->nr_cpus; i++) {
		for (unsigned j = 0; j < i; j++)
			CHECK(m->apic_id[i] != m->apic_id[j]);
	}
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	u8 *copy, rsdp_copy[RSDP_COPY_SIZE] = {0};
	struct madt_info madt;
	const char *why = NULL;
	unsigned way;
	int err;

	if (size < 1)
		return 0;
	way = (data[0] & ~KEEP_CHECKSUMS) % WAYS;
	copy = malloc(size - 1);
	memcpy(copy, data + 1, size - 1);
	if (!(data[0] & KEEP_CHECKSUMS))
		mend_all(copy, size - 1);
	memcpy(rsdp_copy, copy, size - 1 < sizeof(rsdp_copy) ? size - 1 : sizeof(rsdp_copy));

	phys_image(IMAGE_ADDR, copy, size - 1);
	err = acpi_parse_madt(way == BY_ADDRESS ? IMAGE_ADDR : 0, way == BY_COPY ? rsdp_copy : NULL,
			      phys_image_read, &madt, &why);
	CHECK(err == 0 || err == -ENOENT || err == -EBADMSG || err == -EFAULT);
	CHECK(!err == !why);
	check_madt(err, &madt);
	acpi_pm_timer_port(way == BY_ADDRESS ? IMAGE_ADDR : 0, way == BY_COPY ? rsdp_copy : NULL,
			   phys_image_read);
	phys_image_done();
	free(copy);
	return 0;
}
