/* SPDX-License-Identifier: Apache-2.0
 *
 * What a compiler calls for on a core without multiplier, divider or C library.
 */
#include <stddef.h>
#include <stdint.h>

uint32_t __mulsi3(uint32_t a, uint32_t b)
{
	uint32_t product = 0;
	if (a > b) { /* the smaller one says how many steps it takes */
		uint32_t larger = a;
		a = b;
		b = larger;
	}
	for (; a; a >>= 1, b <<= 1)
		if (a & 1)
			product += b;
	return product;
}

uint64_t __muldi3(uint64_t a, uint64_t b)
{
	uint64_t product = 0;
	for (; a; a >>= 1, b += b)
		if (a & 1)
			product += b;
	return product;
}

/* As the RISC-V divider: x / 0 is all ones, x % 0 is x. */
static uint32_t divide(uint32_t a, uint32_t b, uint32_t *rest)
{
	uint32_t quotient = 0, r = 0;
	for (int bit = 31; bit >= 0; bit--) {
		uint32_t carry = r >> 31;
		r = r << 1 | (a >> bit & 1);
		quotient <<= 1;
		if (carry || r >= b) {
			r -= b;
			quotient |= 1;
		}
	}
	*rest = r;
	return quotient;
}

uint32_t __udivsi3(uint32_t a, uint32_t b)
{
	uint32_t rest;
	return divide(a, b, &rest);
}

uint32_t __umodsi3(uint32_t a, uint32_t b)
{
	uint32_t rest;
	divide(a, b, &rest);
	return rest;
}

int32_t __divsi3(int32_t a, int32_t b)
{
	uint32_t rest;
	uint32_t quotient = divide(a < 0 ? -(uint32_t)a : (uint32_t)a,
	                           b < 0 ? -(uint32_t)b : (uint32_t)b, &rest);
	return (int32_t)((a < 0) != (b < 0) && b ? -quotient : quotient);
}

int32_t __modsi3(int32_t a, int32_t b)
{
	uint32_t rest;
	divide(a < 0 ? -(uint32_t)a : (uint32_t)a, b < 0 ? -(uint32_t)b : (uint32_t)b, &rest);
	return (int32_t)(a < 0 ? -rest : rest);
}

union halves {
	uint64_t whole;
	struct {
		uint32_t low, high;
	};
};

uint64_t __ashldi3(uint64_t value, int by)
{
	union halves v = {.whole = value};
	if (by >= 32)
		return (union halves){.high = v.low << (by - 32)}.whole;
	if (by)
		v.high = v.high << by | v.low >> (32 - by);
	v.low <<= by;
	return v.whole;
}

uint64_t __lshrdi3(uint64_t value, int by)
{
	union halves v = {.whole = value};
	if (by >= 32)
		return v.high >> (by - 32);
	if (by)
		v.low = v.low >> by | v.high << (32 - by);
	v.high >>= by;
	return v.whole;
}

int64_t __ashrdi3(int64_t value, int by)
{
	uint64_t signs = value < 0 ? ~__lshrdi3(UINT64_MAX, by) : 0;
	return (int64_t)(__lshrdi3((uint64_t)value, by) | signs);
}

void *memcpy(void *restrict to, const void *restrict from, size_t bytes)
{
	char *t = to;
	for (const char *f = from; bytes; bytes--)
		*t++ = *f++;
	return to;
}

void *memmove(void *to, const void *from, size_t bytes)
{
	char *t = to;
	const char *f = from;
	if (t <= f)
		return memcpy(to, from, bytes);
	while (bytes--)
		t[bytes] = f[bytes];
	return to;
}

void *memset(void *to, int byte, size_t bytes)
{
	for (char *t = to; bytes; bytes--)
		*t++ = (char)byte;
	return to;
}

int memcmp(const void *a, const void *b, size_t bytes)
{
	const unsigned char *p = a, *q = b;
	for (; bytes; bytes--, p++, q++)
		if (*p != *q)
			return *p - *q;
	return 0;
}

size_t strlen(const char *text)
{
	size_t length = 0;
	while (text[length])
		length++;
	return length;
}

int strcmp(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return (unsigned char)*a - (unsigned char)*b;
}
