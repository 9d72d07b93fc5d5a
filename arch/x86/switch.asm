; SPDX-License-Identifier: MIT
;
; From one thread's stack to another's. To C this is an ordinary function call, so only the
; registers a callee must preserve are saved (System V ABI, 3.2.1), on the stack that is left; it
; returns on the other stack, to where that thread once called it. The stack of a new thread is
; made to look as if it had (kernel/thread.c: struct first_frame).

bits 64
default rel

section .text

; void switch_stacks(u64 *save_rsp, u64 load_rsp)
global switch_stacks:function
switch_stacks:
	push	rbp
	push	rbx
	push	r12
	push	r13
	push	r14
	push	r15
	mov	[rdi], rsp
	mov	rsp, rsi
	pop	r15
	pop	r14
	pop	r13
	pop	r12
	pop	rbx
	pop	rbp
	ret
