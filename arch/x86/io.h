// SPDX-License-Identifier: MIT
/*
 * Talking to devices: I/O ports, and registers in memory. A device register is read and written
 * whole, once and in program order; that is all that volatile promises, and on x86 with uncached
 * memory (VM_UC) it is all that is needed (SDM vol. 3A, 8.2.5 and 11.3).
 */
#ifndef ARCH_X86_IO_H
#define ARCH_X86_IO_H

#include "kernel/types.h"

#define PORT_ACCESSORS(suffix, type)                                                        \
	static inline type in##suffix(u16 port)                                             \
	{                                                                                   \
		type v;                                                                     \
                                                                                            \
		__asm__ volatile("in" #suffix " %1, %0" : "=a"(v) : "Nd"(port) : "memory"); \
		return v;                                                                   \
	}                                                                                   \
	static inline void out##suffix(u16 port, type v)                                    \
	{                                                                                   \
		__asm__ volatile("out" #suffix " %0, %1" ::"a"(v), "Nd"(port) : "memory");  \
	}

PORT_ACCESSORS(b, u8)
PORT_ACCESSORS(l, u32)

static inline u32 mmio_read32(const void *reg)
{
	return *(const volatile u32 *)reg;
}

static inline void mmio_write32(void *reg, u32 v)
{
	*(volatile u32 *)reg = v;
}

#endif
