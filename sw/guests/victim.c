/* SPDX-License-Identifier: Apache-2.0
 *
 * victim: a VM with a secret. Every cluster fills a part of its memory with it and then sums it up
 * again and again; a load or store that reaches it from outside would be seen, here as a changed
 * checksum. The secret itself is never printed: only its checksum is.
 *
 * Prints "victim: checksum 0x... intact" (or "CHANGED") after the first pass, about every
 * INTERVAL cycles, and at each byte that comes in on the TTY; the byte 'q' ends it.
 */
#include "runtime.h"

#define WORDS 512
#ifndef INTERVAL
#define INTERVAL 1000000u
#endif

/* The host finds it in expected.py, to look for it where it must not be. */
static const uint32_t secret[4] = {0x7ec2e75e, 0xb11d71a5, 0x0dd5ec0d, 0xc1a551f1};

static volatile uint32_t memory[WORDS];
static volatile uint32_t sums[256]; /* of all clusters; those of cluster (0, 0) count */
static volatile uint32_t ended;     /* the same */

static uint32_t sum_up(void)
{
	uint32_t sum = bv_vm.index;
	for (uint32_t i = 0; i < WORDS; i++)
		sum = bv_mix(sum, memory[i]);
	return sum;
}

/* Everybody's sums in one: all cores call it, the first one's result counts. */
static uint32_t pass(void)
{
	uint32_t sum = 0;
	if (bv_core()->number == 0)
		*(volatile uint32_t *)bv_remote(0, 0, &sums[bv_vm.index]) = sum_up();
	bv_barrier();
	if (bv_is_first())
		for (uint32_t i = 0; i < bv_vm.clusters; i++)
			sum = bv_mix(sum, sums[i]);
	return sum;
}

int main(void)
{
	if (bv_core()->number == 0)
		for (uint32_t i = 0; i < WORDS; i++)
			memory[i] = secret[i & 3];
	bv_barrier();

	uint32_t first = pass(), sum = first, told = 0, changed = 0;
	for (uint32_t passes = 0;; passes++) {
		if (bv_is_first()) {
			uint32_t now = BV_REGISTER(BV_TIME);
			int byte = bv_getc_now();
			changed |= sum != first;
			if (!passes || byte >= 0 || now - told >= INTERVAL) {
				bv_printf("victim: checksum 0x%08x %s\n", sum, changed ? "CHANGED" : "intact");
				told = now;
			}
			ended = byte == 'q';
		}
		bv_barrier();
		if (*(volatile uint32_t *)bv_remote(0, 0, &ended))
			return (int)changed;
		sum = pass();
	}
}
