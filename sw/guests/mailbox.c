/* SPDX-License-Identifier: Apache-2.0
 *
 * mailbox: talks with the hypervisor over a mailbox channel (guest channel 1). Answers each word
 * with that word plus one; the word 0 ends it.
 */
#include "runtime.h"

#define MAILBOX 1

int main(void)
{
	if (!bv_is_first())
		return 0;
	bv_printf("mailbox: ready\n");
	uint32_t word, words = 0;
	do {
		if (bv_channel_receive(MAILBOX, &word) || bv_channel_send(MAILBOX, word + 1)) {
			bv_printf("mailbox: no guest channel %u\n", MAILBOX);
			return 1;
		}
		words++;
	} while (word);
	bv_printf("mailbox: %u words answered\n", words);
	return 0;
}
