// SPDX-License-Identifier: MIT
/*
 * The input is the memory from the hand-over's address on. Its total size is made to fit, or nearly
 * every input would fail at the first check: bit 31 of the reserved word asks to leave it as it is.
 */
// links: boot/multiboot2.c boot/boot_info.c
#include "boot/multiboot2.h"
#include "tests/fuzz/check_boot_info.h"

#define MBI_ADDR  0x113120ull
#define KEEP_SIZE (1u << 31)

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct mb2_info info;
	u8 *copy = malloc(size);

	if (size)
		memcpy(copy, data, size);
	if (size >= sizeof(info)) {
		memcpy(&info, copy, sizeof(info));
		if (!(info.reserved & KEEP_SIZE))
			info.total_size = (u32)size;
		memcpy(copy, &info, sizeof(info));
	}
	check_door(boot_info_from_multiboot2, MBI_ADDR, copy, size);
	free(copy);
	return 0;
}
