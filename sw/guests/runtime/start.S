/* SPDX-License-Identifier: Apache-2.0
 *
 * Start-up, trap entry, probes and channels. tp always holds this core's struct bv_core (runtime.h).
 */
#include "blindvisor.h"

#define SCRATCH0 0
#define SCRATCH1 4
#define RECOVER 8
#define CAUSE 12
#define VALUE 16
#define PC 20
#define STACK 24
#define NUMBER 28
#define SUSPENDED 40
#define CONTEXT 44
#define CORE_BYTES 100

/* ---- Start --------------------------------------------------------------------------------- */

	.section .start, "ax", @progbits
	.globl _start
_start:
	.option push
	.option norelax
	la gp, __global_pointer$
	.option pop
	la t0, trap_entry
	csrw mtvec, t0
	li t0, BV_CORE
	lw t1, 0(t0)
	srli t2, t1, 8          /* cores of this cluster */
	andi t1, t1, 0xff       /* this one */

	/* What the program leaves of the memory is shared by the cores' stacks: a half or a quarter
	 * each. Core 0 has the top. */
	li t0, BV_MEMORY
	lw t3, 0(t0)
	li t0, BV_OWN_CLUSTER
	add sp, t3, t0
	la t0, __image_end
	sub t3, sp, t0
	li t0, 2
	bltu t2, t0, 1f
	srli t3, t3, 1
	beq t2, t0, 1f
	srli t3, t3, 1
1:	andi t3, t3, -16
	la tp, bv_core_blocks
	mv t4, t1
2:	beqz t4, 3f
	sub sp, sp, t3
	addi tp, tp, CORE_BYTES
	addi t4, t4, -1
	j 2b

	/* A VM that was saved goes on where it suspended itself. */
3:	li t0, BV_FLAGS
	lw t0, 0(t0)
	andi t0, t0, 1          /* BV_RESUMED */
	bnez t0, resume

	/* Core 0 clears; the others wait for it. */
	la t3, bv_released
	bnez t1, 6f
	la t0, __bss_start
	la t2, __bss_end
4:	bgeu t0, t2, 5f
	sw zero, 0(t0)
	addi t0, t0, 4
	j 4b
5:	call bv_describe
	la t3, bv_released
	li t0, 1
	sw t0, 0(t3)
	j 7f
6:	lw t0, 0(t3)
	beqz t0, 6b
	sw t1, NUMBER(tp)
7:	j bv_enter

	.section .data.bv_released, "aw", @progbits
	.balign 4
bv_released:
	.word 0

/* ---- Suspend and resume -------------------------------------------------------------------- */

	.macro context instruction
	\instruction ra, CONTEXT(tp)
	\instruction sp, CONTEXT + 4(tp)
	\instruction s0, CONTEXT + 8(tp)
	\instruction s1, CONTEXT + 12(tp)
	\instruction s2, CONTEXT + 16(tp)
	\instruction s3, CONTEXT + 20(tp)
	\instruction s4, CONTEXT + 24(tp)
	\instruction s5, CONTEXT + 28(tp)
	\instruction s6, CONTEXT + 32(tp)
	\instruction s7, CONTEXT + 36(tp)
	\instruction s8, CONTEXT + 40(tp)
	\instruction s9, CONTEXT + 44(tp)
	\instruction s10, CONTEXT + 48(tp)
	\instruction s11, CONTEXT + 52(tp)
	.endm

	.section .text.bv_context, "ax", @progbits
	.globl bv_context
bv_context:
	context sw
	li t0, 1
	sw t0, SUSPENDED(tp)
	li a0, 0
	ret

	/* Saved without having suspended itself: where it was, nobody knows. The stack is left alone
	 * until then, since it is part of what was saved. */
	.section .text.resume, "ax", @progbits
resume:
	lw t0, SUSPENDED(tp)
	beqz t0, bv_lost
	context lw
	sw zero, RECOVER(tp)
	li a0, 1
	ret

/* ---- Traps --------------------------------------------------------------------------------- */

	.section .text.trap_entry, "ax", @progbits
	.balign 4
trap_entry:
	sw t0, SCRATCH0(tp)
	sw t1, SCRATCH1(tp)
	csrr t1, mcause
	bltz t1, 1f
	lw t0, RECOVER(tp)
	beqz t0, 1f

	/* Expected: note it and go on where the probe said. */
	sw t1, CAUSE(tp)
	csrr t1, mtval
	sw t1, VALUE(tp)
	csrr t1, mepc
	sw t1, PC(tp)
	sw zero, RECOVER(tp)
	csrw mepc, t0
	lw t0, SCRATCH0(tp)
	lw t1, SCRATCH1(tp)
	mret

	/* An interrupt, or the end. C code of a handler may itself probe. */
1:	lw t0, SCRATCH0(tp)
	addi sp, sp, -80
	sw ra, 0(sp)
	sw t0, 4(sp)
	lw t0, SCRATCH1(tp)
	sw t0, 8(sp)
	sw t2, 12(sp)
	sw t3, 16(sp)
	sw t4, 20(sp)
	sw t5, 24(sp)
	sw t6, 28(sp)
	sw a0, 32(sp)
	sw a1, 36(sp)
	sw a2, 40(sp)
	sw a3, 44(sp)
	sw a4, 48(sp)
	sw a5, 52(sp)
	sw a6, 56(sp)
	sw a7, 60(sp)
	lw t0, RECOVER(tp)
	sw t0, 64(sp)
	sw zero, RECOVER(tp)
	mv a0, t1
	csrr a1, mepc
	csrr a2, mtval
	call bv_trap
	csrw mepc, a0
	lw t0, 64(sp)
	sw t0, RECOVER(tp)
	lw ra, 0(sp)
	lw t0, 4(sp)
	lw t1, 8(sp)
	lw t2, 12(sp)
	lw t3, 16(sp)
	lw t4, 20(sp)
	lw t5, 24(sp)
	lw t6, 28(sp)
	lw a0, 32(sp)
	lw a1, 36(sp)
	lw a2, 40(sp)
	lw a3, 44(sp)
	lw a4, 48(sp)
	lw a5, 52(sp)
	lw a6, 56(sp)
	lw a7, 60(sp)
	addi sp, sp, 80
	mret

/* ---- Probes -------------------------------------------------------------------------------- */

	.macro probe_load name, instruction
	.section .text.\name, "ax", @progbits
	.globl \name
\name:
	la t0, trapped
	sw t0, RECOVER(tp)
	\instruction t1, 0(a0)
	sw zero, RECOVER(tp)
	sw t1, 0(a1)
	li a0, 0
	ret
	.endm

	.macro probe_store name, instruction
	.section .text.\name, "ax", @progbits
	.globl \name
\name:
	la t0, trapped
	sw t0, RECOVER(tp)
	\instruction a1, 0(a0)
	sw zero, RECOVER(tp)
	li a0, 0
	ret
	.endm

	probe_load bv_probe_load, lw
	probe_load bv_probe_load_half, lhu
	probe_load bv_probe_load_byte, lbu
	probe_store bv_probe_store, sw
	probe_store bv_probe_store_half, sh
	probe_store bv_probe_store_byte, sb

	.section .text.trapped, "ax", @progbits
trapped:
	li a0, 1
	ret

	.section .text.bv_probe_fetch, "ax", @progbits
	.globl bv_probe_fetch
bv_probe_fetch:
	addi sp, sp, -16
	sw ra, 0(sp)
	sw sp, STACK(tp)
	la t0, 1f
	sw t0, RECOVER(tp)
	jalr a0
	sw zero, RECOVER(tp)
	li a0, 0
	j 2f
1:	lw sp, STACK(tp)        /* what was called may have moved it */
	li a0, 1
2:	lw ra, 0(sp)
	addi sp, sp, 16
	ret

/* ---- Channels ------------------------------------------------------------------------------ */

/* A hypervisor may take a channel away at any moment, so each access may trap. In assembler
 * because all output passes here. */
	.macro channel_address
	slli a0, a0, 16
	li t0, BV_OWN_CLUSTER + BV_WINDOW_OFFSET
	add a0, a0, t0
	la t0, gone
	.endm

	.section .text.bv_channel_send, "ax", @progbits
	.globl bv_channel_send
bv_channel_send:
	channel_address
	sw t0, RECOVER(tp)
1:	lw t1, 0(a0)
	andi t1, t1, BV_CHANNEL_WRITABLE
	beqz t1, 1b
	sw a1, 4(a0)
	sw zero, RECOVER(tp)
	li a0, 0
	ret

	.section .text.bv_channel_receive, "ax", @progbits
	.globl bv_channel_receive
bv_channel_receive:
	channel_address
	sw t0, RECOVER(tp)
1:	lw t1, 0(a0)
	andi t1, t1, BV_CHANNEL_READABLE
	beqz t1, 1b
	lw t1, 4(a0)
	sw zero, RECOVER(tp)
	sw t1, 0(a1)
	li a0, 0
	ret

	.section .text.gone, "ax", @progbits
gone:
	li a0, -1
	ret
