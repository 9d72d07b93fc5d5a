; SPDX-License-Identifier: MIT
;
; Touching an address that may not be there. The access that may fault is named in the exception
; table with the place to go on at (trap.c: fixed_up). Contracts: kernel/test.h.

bits 64
default rel

%macro may_fault 2		; the instruction at %1 goes on at %2 if it faults
	[section extable progbits alloc noexec nowrite align=8]
	dq	%1, %2
	__SECT__
%endmacro

section .text

; bool probe_read(const void *va, u8 *value)
global probe_read:function
probe_read:
	push	rbp
	mov	rbp, rsp
	xor	eax, eax
.access:
	mov	cl, [rdi]
	test	rsi, rsi
	jz	.done
	mov	[rsi], cl
.done:
	pop	rbp
	ret
.faulted:
	inc	eax
	jmp	.done
	may_fault .access, .faulted

; bool probe_write(void *va, u8 value)
global probe_write:function
probe_write:
	push	rbp
	mov	rbp, rsp
	xor	eax, eax
.access:
	mov	[rdi], sil
.done:
	pop	rbp
	ret
.faulted:
	inc	eax
	jmp	.done
	may_fault .access, .faulted

; bool probe_store(void *va, u64 value)
global probe_store:function
probe_store:
	push	rbp
	mov	rbp, rsp
	xor	eax, eax
.access:
	mov	[rdi], rsi
.done:
	pop	rbp
	ret
.faulted:
	inc	eax
	jmp	.done
	may_fault .access, .faulted
