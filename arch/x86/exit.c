// SPDX-License-Identifier: MIT
/*
 * Leaving the machine. An emulator can be told to end, with a status; each has a port of its own,
 * and a write to a port where nothing listens is lost, so all are told in turn. A real machine then
 * just stops: power-off would need an AML interpreter.
 *
 *   QEMU   -device isa-debug-exit,iobase=0xf4: exits with (value << 1) | 1
 *   Bochs  port 0x8900: the letters of "Shutdown", one by one
 */
#include "arch/x86/io.h"
#include "arch/x86/regs.h"
#include "kernel/console.h"
#include "kernel/irq.h"
#include "kernel/monitor.h"
#include "kernel/printk.h"

#define QEMU_EXIT_PORT	0xf4
#define QEMU_EXIT_PASS	0x10 /* QEMU's status 33 */
#define QEMU_EXIT_FAIL	0x11 /* 35 */

#define BOCHS_EXIT_PORT 0x8900

void machine_exit(int status)
{
	if (status)
		printk("LAZYMAP: FAIL %d\n", status);
	else
		printk("LAZYMAP: PASS\n");
	console_flush();
	irq_disable();
	outb(QEMU_EXIT_PORT, status ? QEMU_EXIT_FAIL : QEMU_EXIT_PASS);
	for (const char *s = "Shutdown"; *s; s++)
		outb(BOCHS_EXIT_PORT, (u8)*s);
	printk("machine halted\n");
	cpu_halt_forever();
}
