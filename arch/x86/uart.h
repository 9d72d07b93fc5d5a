// SPDX-License-Identifier: MIT
/* The first serial port, a 16550 at I/O port 0x3f8. Its essay is in uart.c. */
#ifndef ARCH_X86_UART_H
#define ARCH_X86_UART_H

#include "kernel/types.h"

#define UART_ISA_IRQ 4 /* COM1; the interrupt source overrides of the MADT apply */

/*
 * uart_init_early: sets the port to 115200 8N1, tests it by loopback and, if it is there, makes it
 * a console. => right after cpu_init_boot(): needs no memory, no interrupts
 */
void uart_init_early(void);

/*
 * uart_enable_irq: from here on input comes by interrupt.
 *   => after the I/O APIC routes UART_ISA_IRQ (edge) to a vector whose handler is uart_interrupt()
 */
void uart_enable_irq(void);

/* => interrupt context; the end of interrupt is the caller's */
void uart_interrupt(void);

#endif
