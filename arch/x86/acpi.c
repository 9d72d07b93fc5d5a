// SPDX-License-Identifier: MIT
/*
 * ACPI's static tables: a root pointer (RSDP) leads to a list of tables (RSDT, with 32-bit
 * addresses, or XSDT, with 64-bit ones), each with a four-letter signature, a length and a
 * checksum. We follow exactly two of them. There is no AML here and never will be.
 *
 * Everything read is copied out with memcpy through struct layouts that are packed, because
 * tables lie at any alignment. A pointer from the phys_reader is good for the length that was asked
 * for and no byte more: first the header, which says the length, then the whole.
 *
 * Firmware is not trusted, but it is not an enemy either: what is damaged is named and not used;
 * the machine then runs on its boot CPU.
 */
#include "arch/x86/acpi.h"
#include "kernel/errno.h"
#include "kernel/string.h"

/* 5.2.5.3 */
struct rsdp {
	char signature[8];
	u8 checksum; /* of the first 20 bytes */
	char oem[6];
	u8 revision;
	u32 rsdt;
	u32 length; /* from here on: revision 2 and later */
	u64 xsdt;
	u8 extended_checksum; /* of all `length` bytes */
	u8 reserved[3];
} __packed;

#define RSDP_V1_SIZE 20
_Static_assert(sizeof(struct rsdp) == RSDP_COPY_SIZE, "5.2.5.3");

/* 5.2.6 */
struct table_header {
	char signature[4];
	u32 length;
	u8 revision, checksum;
	char oem[22];
	u32 creator_revision;
} __packed;

_Static_assert(sizeof(struct table_header) == 36, "5.2.6");

#define TABLE_MAX MiB /* no table we read is near that; a length beyond it is damage */

/* Where the BIOS leaves the RSDP, on 16-byte boundaries: 5.2.5.1 */
#define EBDA_SEGMENT_PTR 0x40e /* the EBDA's real-mode segment, a word of the BIOS data area */
#define EBDA_SEARCH	 KiB
#define BIOS_ROM_START	 0xe0000
#define BIOS_ROM_SIZE	 (128 * KiB)
#define RSDP_ALIGN	 16

struct table {
	const u8 *bytes;
	u32 length;
};

static bool sums_to_zero(const u8 *p, u64 n)
{
	u8 sum = 0;

	while (n--)
		sum += *p++;
	return sum == 0;
}

/* => an RSDP is at `bytes`, of which `size` can be read: RSDP_V1_SIZE or more */
static bool rsdp_valid(const u8 *bytes, u64 size)
{
	struct rsdp r = {0};

	memcpy(&r, bytes, size < sizeof(r) ? RSDP_V1_SIZE : sizeof(r));
	if (memcmp(r.signature, "RSD PTR ", 8) || !sums_to_zero(bytes, RSDP_V1_SIZE))
		return false;
	return r.revision < 2 ||
	       (size >= sizeof(r) && r.length == sizeof(r) && sums_to_zero(bytes, sizeof(r)));
}

/* => the RSDP at pa, if it is one; *size is how much of it can be read */
static const u8 *rsdp_at(paddr_t pa, phys_reader read, u64 *size)
{
	const u8 *p;

	*size = sizeof(struct rsdp);
	p = read(pa, *size);
	if (!p) {
		*size = RSDP_V1_SIZE;
		p = read(pa, *size);
	}
	return p && rsdp_valid(p, *size) ? p : NULL;
}

static const u8 *rsdp_search(paddr_t start, u64 len, phys_reader read, u64 *size)
{
	for (paddr_t pa = start; pa + RSDP_V1_SIZE <= start + len; pa += RSDP_ALIGN) {
		const u8 *p = rsdp_at(pa, read, size);

		if (p)
			return p;
	}
	return NULL;
}

/* The search of 5.2.5.1, for who was not told. */
static const u8 *rsdp_find(phys_reader read, u64 *size)
{
	const void *ebda = read(EBDA_SEGMENT_PTR, sizeof(u16));
	const u8 *p = NULL;
	u16 segment = 0;

	if (ebda)
		memcpy(&segment, ebda, sizeof(segment));
	if (segment)
		p = rsdp_search((paddr_t)segment << 4, EBDA_SEARCH, read, size);
	return p ? p : rsdp_search(BIOS_ROM_START, BIOS_ROM_SIZE, read, size);
}

static int rsdp_get(paddr_t pa, const u8 *copy, phys_reader read, struct rsdp *out,
		    const char **why)
{
	u64 size = RSDP_COPY_SIZE;
	const u8 *p;

	if (pa)
		p = rsdp_at(pa, read, &size);
	else if (copy)
		p = rsdp_valid(copy, size) ? copy : NULL;
	else
		p = rsdp_find(read, &size);
	if (!p) {
		bool told = pa || copy;

		*why = told ? "the ACPI root pointer (RSDP) the loader named is damaged"
			    : "no ACPI root pointer (RSDP), neither told nor in the BIOS areas";
		return told ? -EBADMSG : -ENOENT;
	}
	memset(out, 0, sizeof(*out));
	memcpy(out, p, p[offsetof(struct rsdp, revision)] < 2 ? RSDP_V1_SIZE : sizeof(*out));
	return 0;
}

/* => -EFAULT: cannot be read there; -EBADMSG: no such table there, or damaged */
static int table_at(paddr_t pa, const char *signature, phys_reader read, struct table *out)
{
	struct table_header h;
	const void *p = read(pa, sizeof(h));

	if (!p)
		return -EFAULT;
	memcpy(&h, p, sizeof(h));
	if (memcmp(h.signature, signature, 4) || h.length < sizeof(h) || h.length > TABLE_MAX)
		return -EBADMSG;
	out->bytes = read(pa, h.length);
	out->length = h.length;
	if (!out->bytes)
		return -EFAULT;
	return sums_to_zero(out->bytes, h.length) ? 0 : -EBADMSG;
}

static bool has_signature(paddr_t pa, const char *signature, phys_reader read)
{
	const void *p = read(pa, sizeof(struct table_header));

	return p && !memcmp(p, signature, 4);
}

/* The list of tables, and the size of an address in it. */
static int root_get(paddr_t rsdp, const u8 *copy, phys_reader read, struct table *root,
		    u32 *entry_size, const char **why)
{
	struct rsdp r;
	bool wide;
	int err = rsdp_get(rsdp, copy, read, &r, why);

	if (err)
		return err;
	wide = r.revision >= 2 && r.xsdt;
	*entry_size = wide ? 8 : 4;
	err = table_at(wide ? r.xsdt : r.rsdt, wide ? "XSDT" : "RSDT", read, root);
	if (err)
		*why = err == -EFAULT ? "ACPI's list of tables lies where it cannot be read"
				      : "ACPI's list of tables (RSDT or XSDT) is damaged";
	return err;
}

/* => -ENOENT: not listed; else as table_at() */
static int root_find(const struct table *root, u32 entry_size, const char *signature,
		     phys_reader read, struct table *out)
{
	for (u32 at = sizeof(struct table_header); at + entry_size <= root->length;
	     at += entry_size) {
		paddr_t pa = 0;

		memcpy(&pa, root->bytes + at, entry_size); /* little-endian, as all of ACPI */
		if (has_signature(pa, signature, read))
			return table_at(pa, signature, read, out);
	}
	return -ENOENT;
}

/* The MADT: 5.2.12. Its entries begin with type and length. */
struct madt {
	struct table_header header;
	u32 lapic_addr;
	u32 flags;
} __packed;

struct madt_entry {
	u8 type, length;
	union {
		struct { /* type 0: 5.2.12.2 */
			u8 uid, apic_id;
			u32 flags;
		} __packed lapic;
		struct { /* type 1: 5.2.12.3 */
			u8 id, reserved;
			u32 addr, gsi_base;
		} __packed ioapic;
		struct { /* type 2: 5.2.12.5 */
			u8 bus, source;
			u32 gsi;
			u16 flags;
		} __packed override;
		struct { /* type 5: 5.2.12.8 */
			u16 reserved;
			u64 addr;
		} __packed lapic_addr;
		struct { /* type 9: 5.2.12.12 */
			u16 reserved;
			u32 apic_id, flags, uid;
		} __packed x2apic;
	};
} __packed;

enum madt_type {
	MADT_LAPIC = 0,
	MADT_IOAPIC = 1,
	MADT_OVERRIDE = 2,
	MADT_LAPIC_ADDR = 5,
	MADT_X2APIC = 9,
};

#define MADT_ENTRY_HEADER 2
#define MADT_CPU_ENABLED  (1u << 0) /* table 5.22 */
#define LAPIC_BROADCAST	  0xffu	    /* addresses every CPU, so no CPU has it as its id */
#define X2APIC_BROADCAST  0xffffffffu
#define BUS_ISA		  0
#define INTI_POLARITY(f)  ((f)&3) /* table 5.26 */
#define INTI_TRIGGER(f)	  ((f) >> 2 & 3)
#define INTI_ACTIVE_LOW	  3
#define INTI_LEVEL	  3

/* The least length of an entry whose contents we use; 0 for the others. */
static u8 entry_min_length(u8 type)
{
	switch (type) {
	case MADT_LAPIC:
		return 8;
	case MADT_IOAPIC:
		return 12;
	case MADT_OVERRIDE:
		return 10;
	case MADT_LAPIC_ADDR:
		return 12;
	case MADT_X2APIC:
		return 16;
	default:
		return 0;
	}
}

static void add_cpu(struct madt_info *m, u32 id, u32 flags)
{
	if (!(flags & MADT_CPU_ENABLED))
		return;
	for (unsigned i = 0; i < m->nr_cpus; i++) {
		if (m->apic_id[i] == id) /* listed as type 0 and as type 9 */
			return;
	}
	if (m->nr_cpus == MAX_CPUS)
		m->nr_left_out++;
	else
		m->apic_id[m->nr_cpus++] = id;
}

/*
 * More IO-APICs or overrides than there is room for are ignored: the ISA lines come first in
 * practice.
 */
static void add_entry(struct madt_info *m, const struct madt_entry *e)
{
	switch (e->type) {
	case MADT_LAPIC:
		if (e->lapic.apic_id != LAPIC_BROADCAST)
			add_cpu(m, e->lapic.apic_id, e->lapic.flags);
		break;
	case MADT_X2APIC:
		if (e->x2apic.apic_id != X2APIC_BROADCAST)
			add_cpu(m, e->x2apic.apic_id, e->x2apic.flags);
		break;
	case MADT_IOAPIC:
		if (m->nr_ioapics < MADT_MAX_IOAPICS)
			m->ioapic[m->nr_ioapics++] =
				(struct madt_ioapic){e->ioapic.addr, e->ioapic.gsi_base};
		break;
	case MADT_OVERRIDE:
		if (e->override.bus == BUS_ISA && m->nr_overrides < MADT_MAX_OVERRIDES)
			m->override[m->nr_overrides++] = (struct madt_override){
				.isa_irq = e->override.source,
				.gsi = e->override.gsi,
				.active_low = INTI_POLARITY(e->override.flags) == INTI_ACTIVE_LOW,
				.level = INTI_TRIGGER(e->override.flags) == INTI_LEVEL,
			};
		break;
	case MADT_LAPIC_ADDR:
		m->lapic_addr = e->lapic_addr.addr;
		break;
	}
}

static int madt_entries(const struct table *t, struct madt_info *m)
{
	u32 at = sizeof(struct madt);

	while (at < t->length) {
		struct madt_entry e = {0};
		u32 left = t->length - at;

		if (left < MADT_ENTRY_HEADER)
			return -EBADMSG;
		memcpy(&e, t->bytes + at, MADT_ENTRY_HEADER);
		if (e.length < MADT_ENTRY_HEADER || e.length > left ||
		    e.length < entry_min_length(e.type))
			return -EBADMSG;
		memcpy(&e, t->bytes + at, MIN(e.length, sizeof(e)));
		add_entry(m, &e);
		at += e.length;
	}
	return 0;
}

#define LAPIC_DEFAULT_ADDR 0xfee00000 /* SDM vol. 3A, 10.4.1 */

static void madt_nothing(struct madt_info *m)
{
	memset(m, 0, sizeof(*m));
	m->lapic_addr = LAPIC_DEFAULT_ADDR;
}

int acpi_parse_madt(paddr_t rsdp, const u8 *rsdp_copy, phys_reader read, struct madt_info *out,
		    const char **why)
{
	struct table root, t;
	struct madt madt;
	u32 entry_size;
	int err;

	madt_nothing(out);
	err = root_get(rsdp, rsdp_copy, read, &root, &entry_size, why);
	if (err)
		return err;
	err = root_find(&root, entry_size, "APIC", read, &t);
	if (err) {
		*why = err == -ENOENT ? "ACPI has no list of processors (MADT)"
		       : err == -EFAULT
			       ? "the list of processors (MADT) lies where it cannot be read"
			       : "the list of processors (MADT) is damaged: length or checksum";
		return err;
	}
	if (t.length < sizeof(madt)) {
		*why = "the list of processors (MADT) is too short to be one";
		return -EBADMSG;
	}
	memcpy(&madt, t.bytes, sizeof(madt));
	out->lapic_addr = madt.lapic_addr;
	if (madt_entries(&t, out)) {
		madt_nothing(out);
		*why = "the list of processors (MADT) has an entry of impossible length";
		return -EBADMSG;
	}
	return 0;
}

/* The FADT: table 5.9. */
#define FADT_PM_TMR_BLK 76
#define FADT_PM_TMR_LEN 91
#define PM_TMR_LEN	4 /* any other value: there is no such timer */

u16 acpi_pm_timer_port(paddr_t rsdp, const u8 *rsdp_copy, phys_reader read)
{
	struct table root, t;
	const char *why;
	u32 entry_size, port;

	if (root_get(rsdp, rsdp_copy, read, &root, &entry_size, &why) ||
	    root_find(&root, entry_size, "FACP", read, &t) || t.length <= FADT_PM_TMR_LEN ||
	    t.bytes[FADT_PM_TMR_LEN] != PM_TMR_LEN)
		return 0;
	memcpy(&port, t.bytes + FADT_PM_TMR_BLK, sizeof(port));
	return port <= UINT16_MAX ? (u16)port : 0;
}
