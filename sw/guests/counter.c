/* SPDX-License-Identifier: Apache-2.0
 *
 * counter: all cores count together; survives being saved and restored, anywhere. Takes words on the
 * mailbox channel (guest channel 1):
 *
 *   1  suspend: answers the count, and goes on when restored, or at the next word
 *   2  and a nonce of 8 words: answers the machine's report, 36 words
 *   3  end
 */
#include "runtime.h"

#define MAILBOX 1

enum order { NONE, SUSPEND, ATTEST, END };

static volatile uint32_t request;     /* the hypervisor's, of the first core */
static volatile uint32_t order;       /* the first core's, to the cores of this cluster */
static volatile uint32_t counts[4];   /* of the cores of this cluster */

static void on_word(void)
{
	uint32_t word;
	bv_channel_interrupt(MAILBOX, 0); /* no further request before this one is done */
	if (!bv_channel_receive(MAILBOX, &word))
		request = word;
}

static void listen(void)
{
	request = NONE;
	bv_channel_interrupt(MAILBOX, BV_CHANNEL_READABLE);
}

static void attest(void)
{
	uint32_t nonce[BV_NONCE_WORDS], report[BV_REPORT_WORDS] = {0};
	for (uint32_t i = 0; i < BV_NONCE_WORDS; i++)
		bv_channel_receive(MAILBOX, &nonce[i]);
	bv_attest(nonce, report); /* without the channel: zeros, which nobody believes */
	for (uint32_t i = 0; i < BV_REPORT_WORDS; i++)
		bv_channel_send(MAILBOX, report[i]);
}

/* All cores of all clusters must have counted the same. */
static int together(uint32_t count)
{
	for (uint32_t i = 0; i < bv_vm.clusters; i++)
		for (uint32_t core = 0; core < bv_vm.cores; core++)
			if (*(volatile uint32_t *)bv_remote_at(i, &counts[core]) != count)
				return 0;
	return 1;
}

int main(void)
{
	uint32_t status, number = bv_core()->number, next;
	int first = bv_is_first();
	if (first) {
		if (bv_probe_load(BV_CHANNEL_STATUS(MAILBOX), &status)) {
			bv_printf("counter: no guest channel %u\n", MAILBOX);
			return 1;
		}
		bv_printf("counter: ready\n");
		bv_on_interrupt(BV_EXTERNAL, on_word);
		listen();
		bv_interrupts(1);
	}
	for (;;) {
		if (first) {
			next = request;
			for (uint32_t i = 0; i < bv_vm.clusters; i++)
				*(volatile uint32_t *)bv_remote_at(i, &order) = next;
		}
		bv_barrier();
		next = order;
		if (next == END)
			return 0;
		if (next == SUSPEND && bv_suspend(MAILBOX, counts[0]) && first)
			bv_printf("counter: resumed\n");
		if (next == ATTEST && first)
			attest();
		if (next != NONE && first)
			listen();
		counts[number]++;
		bv_barrier();
		if (first)
			bv_printf("count %u%s\n", (unsigned)counts[0],
			          together(counts[0]) ? "" : " WRONG");
	}
}
