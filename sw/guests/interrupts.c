/* SPDX-License-Identifier: Apache-2.0
 *
 * interrupts: takes one interrupt of each kind: timer, software (a word from every other core of
 * the VM, asked for by a word to it), and external (the TTY has room).
 */
#include "runtime.h"

#define PATIENCE 200000u /* cycles to wait for an interrupt */

static volatile uint32_t timer_seen, channel_seen, words, last_word;

static void on_timer(void)
{
	bv_timer_at(UINT64_MAX);
	timer_seen = 1;
}

static void on_channel(void)
{
	bv_channel_interrupt(BV_TTY, 0);
	channel_seen = 1;
}

/* Of the first core: notes the word. */
static void on_word(void)
{
	last_word = bv_core_receive();
	words++;
}

/* Of all others: answers it. */
static void on_question(void)
{
	bv_core_send(0, 0, 0, bv_core_receive() + 1);
}

static uint32_t wait_for(volatile uint32_t *seen, uint32_t value)
{
	uint32_t start = BV_REGISTER(BV_TIME);
	while (*seen != value)
		if (BV_REGISTER(BV_TIME) - start > PATIENCE)
			return 0;
	return 1;
}

static uint32_t line(const char *name, uint32_t seen)
{
	bv_printf("%s interrupt: %s\n", name, seen ? "seen" : "MISSING");
	return !seen;
}

int main(void)
{
	bv_on_interrupt(BV_SOFTWARE, bv_is_first() ? on_word : on_question);
	if (!bv_is_first()) {
		bv_interrupts(1);
		bv_barrier(); /* ready for questions */
		bv_barrier(); /* no more questions */
		return 0;
	}
	bv_on_interrupt(BV_TIMER, on_timer);
	bv_on_interrupt(BV_EXTERNAL, on_channel);
	bv_barrier();
	bv_interrupts(1);

	bv_timer_at(bv_time() + 500);
	uint32_t missing = line("timer", wait_for(&timer_seen, 1));

	uint32_t answers = 0, asked = 0;
	for (uint32_t gy = 0; gy < bv_vm.height; gy++)
		for (uint32_t gx = 0; gx < bv_vm.width; gx++)
			for (uint32_t core = 0; core < bv_vm.cores; core++) {
				/* The first core sends to itself; that comes back as it is. */
				uint32_t self = !(gx | gy | core), word = 0x1000 + asked++;
				bv_core_send(gx, gy, core, word);
				if (wait_for(&words, asked) && last_word == word + !self)
					answers++;
			}
	missing |= line("software", answers == asked);
	bv_printf("%u of %u cores answered\n", answers, asked);

	bv_channel_interrupt(BV_TTY, BV_CHANNEL_WRITABLE);
	missing |= line("channel", wait_for(&channel_seen, 1));

	bv_interrupts(0);
	bv_barrier();
	return (int)missing;
}
