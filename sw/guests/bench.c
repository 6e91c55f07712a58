/* SPDX-License-Identifier: Apache-2.0
 *
 * bench: a small benchmark with the four kinds of work that CoreMark made customary, written anew:
 * a linked list (search, reverse, merge sort), a matrix product, a state machine over text, and a
 * CRC over what the others left. All cores of the VM run it at the same time, each on its own; the
 * first one prints its cycles and a checksum that expected.py computes too.
 */
#include "runtime.h"

#ifndef ROUNDS
#define ROUNDS 2
#endif
#define NODES 24
#define N 6
#define TEXT 48
#define KINDS 4 /* of numbers: none, integer, fraction, wrong */

/* xorshift32: no multiplier needed */
static uint32_t random(uint32_t *state)
{
	uint32_t x = *state;
	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	return *state = x;
}

struct node {
	struct node *next;
	uint32_t value;
};

static struct node *reverse(struct node *list)
{
	struct node *done = 0;
	while (list) {
		struct node *next = list->next;
		list->next = done;
		done = list;
		list = next;
	}
	return done;
}

static struct node *merge(struct node *a, struct node *b)
{
	struct node head = {0, 0}, *last = &head;
	while (a && b) {
		struct node **less = a->value <= b->value ? &a : &b;
		last->next = *less;
		last = *less;
		*less = last->next;
	}
	last->next = a ? a : b;
	return head.next;
}

static struct node *sort(struct node *list, uint32_t length)
{
	if (length < 2)
		return list;
	struct node *middle = list;
	for (uint32_t i = 1; i < length / 2; i++)
		middle = middle->next;
	struct node *rest = middle->next;
	middle->next = 0;
	return merge(sort(list, length / 2), sort(rest, length - length / 2));
}

static uint32_t lists(uint32_t seed)
{
	struct node nodes[NODES], *list = 0;
	for (uint32_t i = 0; i < NODES; i++) {
		nodes[i].value = random(&seed) & 0xff;
		nodes[i].next = list;
		list = &nodes[i];
	}
	uint32_t sum = 0, place = 0;
	for (struct node *node = list; node && node->value != (seed & 0xff); node = node->next)
		place++;
	sum = bv_mix(sum, place);
	list = reverse(list);
	for (struct node *node = list; node; node = node->next)
		sum = bv_mix(sum, node->value);
	list = sort(list, NODES);
	for (struct node *node = list; node; node = node->next)
		sum = bv_mix(sum, node->value);
	return sum;
}

static uint32_t matrices(uint32_t seed)
{
	uint32_t a[N][N], b[N][N], sum = 0;
	for (uint32_t i = 0; i < N; i++)
		for (uint32_t j = 0; j < N; j++) {
			a[i][j] = random(&seed) & 0xff;
			b[i][j] = random(&seed) & 0xffff;
		}
	for (uint32_t i = 0; i < N; i++)
		for (uint32_t j = 0; j < N; j++) {
			uint32_t element = 0;
			for (uint32_t k = 0; k < N; k++)
				element += a[i][k] * b[k][j];
			sum = bv_mix(sum, element);
		}
	return sum;
}

/* Sorts the words of a text into kinds of numbers. */
static uint32_t states(uint32_t seed)
{
	static const char letters[] = "0123456789.,,+x1";
	enum { START, SIGN, INTEGER, FRACTION, WRONG } state = START;
	uint32_t counts[KINDS] = {0, 0, 0, 0}, sum = 0;
	for (uint32_t i = 0; i <= TEXT; i++) {
		char c = i == TEXT ? ',' : letters[random(&seed) >> 8 & 15];
		int digit = c >= '0' && c <= '9';
		if (c == ',') {
			counts[state == INTEGER ? 1 : state == FRACTION ? 2 : state == START ? 0 : 3]++;
			state = START;
		} else if (state == START && c == '+') {
			state = SIGN;
		} else if (digit && state <= INTEGER) {
			state = INTEGER;
		} else if (c == '.' && state == INTEGER) {
			state = FRACTION;
		} else if (!digit || state != FRACTION) {
			state = WRONG;
		}
	}
	for (uint32_t i = 0; i < KINDS; i++)
		sum = bv_mix(sum, counts[i]);
	return sum;
}

/* CRC-16/ARC of four bytes, bit by bit. */
static uint32_t crc(uint32_t before, uint32_t word)
{
	for (int i = 0; i < 32; i++, word >>= 1, before = before >> 1 ^ (before & 1 ? 0xa001 : 0))
		before ^= word & 1;
	return before;
}

int main(void)
{
	static const char *const names[] = {"lists", "matrices", "states", "crc"};
	uint32_t cycles[4] = {0, 0, 0, 0}, sum = 0, check = 0;
	for (uint32_t round = 1; round <= ROUNDS; round++) {
		uint32_t parts[3], times[5];
		times[0] = BV_REGISTER(BV_TIME);
		parts[0] = lists(round);
		times[1] = BV_REGISTER(BV_TIME);
		parts[1] = matrices(round);
		times[2] = BV_REGISTER(BV_TIME);
		parts[2] = states(round);
		times[3] = BV_REGISTER(BV_TIME);
		for (uint32_t i = 0; i < 3; i++)
			check = crc(check, parts[i]);
		times[4] = BV_REGISTER(BV_TIME);
		for (uint32_t i = 0; i < 4; i++)
			cycles[i] += times[i + 1] - times[i];
		for (uint32_t i = 0; i < 3; i++)
			sum = bv_mix(sum, parts[i]);
	}
	if (!bv_is_first())
		return 0;
	uint32_t total = 0;
	for (uint32_t i = 0; i < 4; i++) {
		bv_printf("%s: %u cycles\n", names[i], cycles[i]);
		total += cycles[i];
	}
	bv_printf("bench: %u rounds in %u cycles\n", ROUNDS, total);
	bv_printf("checksum 0x%08x\n", bv_mix(sum, check));
	return 0;
}
