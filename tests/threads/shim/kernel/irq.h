// SPDX-License-Identifier: MIT
/*
 * In place of kernel/irq.h: the interrupt flag of the CPU that this thread is. The words are those
 * of the simulated machine; their bodies are in tests/threads/machine.c.
 */
#include "tests/host/shim/kernel/irq.h"
