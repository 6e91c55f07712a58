/* SPDX-License-Identifier: Apache-2.0
 *
 * C runtime of the guests. Addresses and registers themselves are in blindvisor.h.
 *
 * Every core of every cluster of the VM runs main() from its own cluster's copy of the program; a
 * barrier over all of them comes before it. What core 0 of cluster (0, 0) returns from main() is
 * the VM's exit status; the other cores stop quietly when they return.
 */
#ifndef BLINDVISOR_RUNTIME_H
#define BLINDVISOR_RUNTIME_H

#include <stdint.h>

#include "blindvisor.h"

/* ---- Who and where ------------------------------------------------------------------------- */

/* This cluster's place in the VM and what they are made of; filled before main(). */
struct bv_vm {
	uint32_t x, y;          /* guest coordinates of this cluster */
	uint32_t width, height; /* of the VM, in clusters */
	uint32_t index;         /* y * width + x */
	uint32_t clusters;      /* width * height */
	uint32_t cores;         /* per cluster */
	uint32_t memory;        /* bytes per cluster */
};
extern struct bv_vm bv_vm;

/* What a core keeps about itself. The assembler in start.S knows most offsets. */
struct bv_core {
	uint32_t scratch[2];  /* of the trap handler */
	uint32_t recover;     /* where an expected trap continues; 0: none is expected */
	uint32_t cause;       /* mcause, mtval and mepc of the last expected trap */
	uint32_t value;
	uint32_t pc;
	uint32_t stack;       /* of bv_probe_fetch */
	uint32_t number;      /* of this core in its cluster */
	uint32_t panicking;
	uint32_t generation;  /* barriers passed */
	uint32_t suspended;   /* 1: the context is valid */
	uint32_t context[14]; /* ra, sp and s0 to s11 in bv_suspend */
};

/* This core's own; tp holds its address. */
static inline struct bv_core *bv_core(void)
{
	struct bv_core *core;
	__asm__("mv %0, tp" : "=r"(core));
	return core;
}

/* True on core 0 of cluster (0, 0), which does the talking. */
static inline int bv_is_first(void)
{
	return bv_vm.index == 0 && bv_core()->number == 0;
}

/* ---- Other clusters ------------------------------------------------------------------------ */

/* Where cluster (gx, gy) keeps what is at this pointer here. */
static inline void *bv_remote(uint32_t gx, uint32_t gy, const volatile void *here)
{
	return (void *)(uintptr_t)(BV_CLUSTER(gx, gy) | ((uint32_t)(uintptr_t)here & 0xffffffu));
}

/* The same with the number of a cluster, y * width + x. */
void *bv_remote_at(uint32_t index, const volatile void *here);

/* Returns when all cores of all clusters have called it; all stores before it are seen after it. */
void bv_barrier(void);

/* ---- Text ---------------------------------------------------------------------------------- */

#define BV_TTY 0 /* guest channel of the TTY */

/* Waits for room. -1: there is no TTY (any more); nothing is lost but the output. */
int bv_putc(int byte);
/* Waits for a byte. -1: there is no TTY. */
int bv_getc(void);
/* -1: no byte is there, or no TTY. */
int bv_getc_now(void);
void bv_puts(const char *text); /* without a line end of its own */
/* %u %d %x %s %c %%; a width before u, d or x, with a leading 0 for zeros: %08x. */
void bv_printf(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Prints the last line, "[exit STATUS]", and stops this core. */
_Noreturn void bv_exit(uint32_t status);
/* Stops this core without a word. */
_Noreturn void bv_stop(void);

/* ---- Mailbox channels ---------------------------------------------------------------------- */

/* Send and receive wait. 0: done, -1: the VM has no such channel. */
int bv_channel_send(uint32_t channel, uint32_t word);
int bv_channel_receive(uint32_t channel, uint32_t *word);

/* ---- Suspend and resume -------------------------------------------------------------------- */

#define BV_RESUMED 1u      /* in BV_FLAGS: the VM was restored from a saved image */
#define BV_LOST_STATUS 254u /* exit status of a VM that was saved without having been suspended */

/* Called by all cores of all clusters, like a barrier. Puts all that they are into memory, then
 * answers on the mailbox channel, and waits there for a word. A hypervisor that freezes and saves
 * the VM after the answer gets an image in which it goes on from here: on any machine, at any place,
 * as often as that image is loaded.
 *
 * Returns 1 in a VM that was restored and 0 in one that was told by the word to go on. Channels are
 * empty after a restore, their interrupts and the timer are off, bv_time() has begun anew. */
int bv_suspend(uint32_t channel, uint32_t answer);

/* ---- Attestation --------------------------------------------------------------------------- */

#define BV_ATTEST 2 /* guest channel of the kind BV_KIND_ATTEST */
#define BV_NONCE_WORDS 8
#define BV_REPORT_WORDS 36

/* The machine's report on this VM for a verifier's nonce. 0: done, -1: there is no channel. */
int bv_attest(const uint32_t nonce[BV_NONCE_WORDS], uint32_t report[BV_REPORT_WORDS]);

/* ---- Traps --------------------------------------------------------------------------------- */

#define BV_FETCH_FAULT 1u
#define BV_LOAD_FAULT 5u
#define BV_STORE_FAULT 7u
#define BV_TRAP_STATUS 255u /* exit status of a VM that ends in an unexpected trap */

/* Try an access. 0: it was made. 1: it trapped; bv_core()->cause, ->value and ->pc tell why. */
int bv_probe_load(uint32_t address, uint32_t *value);
int bv_probe_load_half(uint32_t address, uint32_t *value);
int bv_probe_load_byte(uint32_t address, uint32_t *value);
int bv_probe_store(uint32_t address, uint32_t value);
int bv_probe_store_half(uint32_t address, uint32_t value);
int bv_probe_store_byte(uint32_t address, uint32_t value);
/* Calls what is there. */
int bv_probe_fetch(uint32_t address);

/* A program may define it: called for a trap that nobody expected. Returns the address to go on
 * at, or 0 for the report and the end that it gets anyway. */
uint32_t bv_trap_hook(uint32_t cause, uint32_t pc, uint32_t value);

/* ---- Interrupts and time ------------------------------------------------------------------- */

enum bv_interrupt { BV_SOFTWARE = 3, BV_TIMER = 7, BV_EXTERNAL = 11 };

/* Sets this core's handler and lets it take the interrupt (handler 0: not take it).
 * A handler must make its cause go away: read the mailbox, move the compare value, or clear the
 * channel's or the core's enable bit. */
void bv_on_interrupt(enum bv_interrupt which, void (*handler)(void));
/* Nothing is taken before bv_interrupts(1). Returns what it was. */
int bv_interrupts(int on);

/* A word for a core of a cluster of this VM; waits until its mailbox is empty. With several
 * senders to one core, they must agree who may send: a second word overwrites the first. */
void bv_core_send(uint32_t gx, uint32_t gy, uint32_t core, uint32_t word);
/* Waits for a word in this core's own mailbox. */
uint32_t bv_core_receive(void);

uint64_t bv_time(void);             /* cycles since launch */
void bv_timer_at(uint64_t time);    /* of this core; UINT64_MAX: never */
void bv_channel_interrupt(uint32_t channel, uint32_t enable); /* BV_CHANNEL_READABLE, _WRITABLE */

/* ---- Arithmetic ---------------------------------------------------------------------------- */

/* One step of the checksum that the guests print; the same in expected.py. */
static inline uint32_t bv_mix(uint32_t sum, uint32_t word)
{
	return ((sum << 5 | sum >> 27) ^ word) + 0x9e3779b9u;
}

#endif
