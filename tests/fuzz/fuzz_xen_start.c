// SPDX-License-Identifier: MIT
/*
 * The input is all the memory there is, with the start info in front. It lies so low that small
 * changes of an address reach it.
 */
// links: boot/xen.c boot/boot_info.c
#include "tests/fuzz/check_boot_info.h"

#define START_INFO_ADDR 0x10

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	check_door(boot_info_from_xen, START_INFO_ADDR, data, size);
	return 0;
}
