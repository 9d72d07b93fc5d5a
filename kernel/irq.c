// SPDX-License-Identifier: MIT
/* Replacing what kernel/irq.h has put into the code: see there. */
#include "kernel/irq.h"
#include "kernel/string.h"

struct irq_site_entry {
	u64 at;
	u64 kind; /* enum irq_site */
};

extern const struct irq_site_entry __start_irq_sites[], __stop_irq_sites[];

#define OPCODE_CALL 0xe8 /* CALL rel32: relative to the next instruction */

void irq_patch(void (*const replacement[NR_IRQ_SITES])(void))
{
	for (const struct irq_site_entry *s = __start_irq_sites; s < __stop_irq_sites; s++) {
		s32 distance = (s32)((u64)replacement[s->kind] - (s->at + IRQ_SITE_BYTES));
		u8 *code = (u8 *)s->at;

		code[0] = OPCODE_CALL;
		memcpy(code + 1, &distance, sizeof(distance));
	}
}
