/* SPDX-License-Identifier: Apache-2.0
 *
 * The C half of the runtime; contracts are in runtime.h.
 */
#include "runtime.h"

#include <stdarg.h>

#define MAX_CORES 4
#define MAX_CLUSTERS 256
#define FENCE() __asm__ volatile("fence" ::: "memory")

_Static_assert(sizeof(struct bv_core) == 100, "CORE_BYTES of start.S");
_Static_assert(__builtin_offsetof(struct bv_core, number) == 28, "NUMBER of start.S");
_Static_assert(__builtin_offsetof(struct bv_core, suspended) == 40, "SUSPENDED of start.S");
_Static_assert(__builtin_offsetof(struct bv_core, context) == 44, "CONTEXT of start.S");

struct bv_core bv_core_blocks[MAX_CORES];
struct bv_vm bv_vm;

int main(void);
void bv_describe(void);
_Noreturn void bv_enter(void);
_Noreturn void bv_lost(void);
uint32_t bv_trap(uint32_t cause, uint32_t pc, uint32_t value);
/* Keeps this core's registers. Returns 0; and once more, 1, when the VM was restored. */
int bv_context(void) __attribute__((returns_twice));

/* ---- Start and end ------------------------------------------------------------------------- */

/* Core 0, before the others are released. */
void bv_describe(void)
{
	uint32_t coordinates = BV_REGISTER(BV_COORDINATES), size = BV_REGISTER(BV_SIZE);
	bv_vm.x = coordinates & 0xff;
	bv_vm.y = coordinates >> 8 & 0xff;
	bv_vm.width = size & 0xff;
	bv_vm.height = size >> 8 & 0xff;
	bv_vm.index = bv_vm.y * bv_vm.width + bv_vm.x;
	bv_vm.clusters = bv_vm.height * bv_vm.width;
	bv_vm.cores = BV_REGISTER(BV_CORE) >> 8 & 0xff;
	bv_vm.memory = BV_REGISTER(BV_MEMORY);
}

_Noreturn void bv_enter(void)
{
	bv_barrier();
	int status = main();
	if (bv_is_first())
		bv_exit((uint32_t)status);
	bv_stop();
}

_Noreturn void bv_stop(void)
{
	bv_interrupts(0);
	for (;;)
		__asm__ volatile("");
}

_Noreturn void bv_exit(uint32_t status)
{
	bv_printf("[exit %u]\n", (unsigned)status);
	bv_stop();
}

/* ---- Other clusters ------------------------------------------------------------------------ */

void *bv_remote_at(uint32_t index, const volatile void *here)
{
	uint32_t gy = 0;
	for (; index >= bv_vm.width; index -= bv_vm.width)
		gy++;
	return bv_remote(index, gy, here);
}

/* Cores of a cluster tell their core 0; those tell cluster (0, 0), in whose memory each has one
 * byte, and which then tells everyone. A byte holds the number of the last barrier reached, so
 * nothing is ever reset, and two barriers in a row cannot be mixed up. */
static volatile uint8_t arrived[MAX_CLUSTERS] __attribute__((section(".shared.arrived")));
static volatile uint8_t arrived_cores[MAX_CORES];
static volatile uint8_t released;

void bv_barrier(void)
{
	struct bv_core *core = bv_core();
	uint8_t generation = (uint8_t)++core->generation;
	FENCE();
	if (core->number) {
		arrived_cores[core->number] = generation;
	} else {
		for (uint32_t i = 1; i < bv_vm.cores; i++)
			while (arrived_cores[i] != generation)
				;
		*(volatile uint8_t *)bv_remote(0, 0, &arrived[bv_vm.index]) = generation;
		if (bv_vm.index == 0) {
			for (uint32_t i = 0; i < bv_vm.clusters; i++)
				while (arrived[i] != generation)
					;
			for (uint32_t gy = 0; gy < bv_vm.height; gy++)
				for (uint32_t gx = 0; gx < bv_vm.width; gx++)
					*(volatile uint8_t *)bv_remote(gx, gy, &released) = generation;
		}
	}
	while (released != generation)
		;
	FENCE();
}

/* ---- Suspend and resume -------------------------------------------------------------------- */

_Noreturn void bv_lost(void)
{
	if (bv_is_first()) {
		bv_printf("[saved without having been suspended]\n");
		bv_exit(BV_LOST_STATUS);
	}
	bv_stop();
}

int bv_suspend(uint32_t channel, uint32_t answer)
{
	struct bv_core *core = bv_core();
	uint32_t generation = core->generation, mie, word;
	int interrupts = bv_interrupts(0);
	__asm__ volatile("csrr %0, mie" : "=r"(mie));
	int resumed = bv_context();
	if (!resumed) {
		bv_barrier(); /* the registers of all cores are in memory */
		if (bv_is_first() && !bv_channel_send(channel, answer))
			bv_channel_receive(channel, &word); /* frozen and saved meanwhile, or not */
		bv_barrier();
	}
	core->suspended = 0;
	/* Where the others were between the two when all was saved, does not matter. */
	core->generation = generation + 2;
	__asm__ volatile("csrw mie, %0" ::"r"(mie));
	bv_interrupts(interrupts);
	return resumed;
}

int bv_attest(const uint32_t nonce[BV_NONCE_WORDS], uint32_t report[BV_REPORT_WORDS])
{
	for (uint32_t i = 0; i < BV_NONCE_WORDS; i++)
		if (bv_channel_send(BV_ATTEST, nonce[i]))
			return -1;
	for (uint32_t i = 0; i < BV_REPORT_WORDS; i++)
		if (bv_channel_receive(BV_ATTEST, &report[i]))
			return -1;
	return 0;
}

/* ---- Channels ------------------------------------------------------------------------------ */

int bv_putc(int byte)
{
	return bv_channel_send(BV_TTY, (uint8_t)byte);
}

int bv_getc(void)
{
	uint32_t word;
	return bv_channel_receive(BV_TTY, &word) ? -1 : (int)(word & 0xff);
}

int bv_getc_now(void)
{
	uint32_t status;
	if (bv_probe_load(BV_CHANNEL_STATUS(BV_TTY), &status) || !(status & BV_CHANNEL_READABLE))
		return -1;
	return bv_getc();
}

/* ---- Text ---------------------------------------------------------------------------------- */

void bv_puts(const char *text)
{
	while (*text)
		bv_putc(*text++);
}

static void number(uint32_t value, int hexadecimal, int negative, uint32_t width, char fill)
{
	static const uint32_t powers[] = {1000000000, 100000000, 10000000, 1000000, 100000,
	                                  10000,      1000,      100,      10,      1};
	char text[12];
	uint32_t length = 0;
	if (hexadecimal) {
		for (int shift = 28; shift >= 0; shift -= 4) {
			uint32_t digit = value >> shift & 15;
			if (digit || length || !shift)
				text[length++] = "0123456789abcdef"[digit];
		}
	} else { /* subtractions: there is no divider */
		for (uint32_t i = 0; i < 10; i++) {
			char digit = '0';
			for (; value >= powers[i]; value -= powers[i])
				digit++;
			if (digit != '0' || length || i == 9)
				text[length++] = digit;
		}
	}
	if (negative && fill == '0')
		bv_putc('-');
	for (uint32_t i = length + (uint32_t)negative; i < width; i++)
		bv_putc(fill);
	if (negative && fill != '0')
		bv_putc('-');
	for (uint32_t i = 0; i < length; i++)
		bv_putc(text[i]);
}

void bv_printf(const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	for (; *format; format++) {
		if (*format != '%') {
			bv_putc(*format);
			continue;
		}
		format++;
		char fill = *format == '0' ? '0' : ' ';
		uint32_t width = 0;
		for (; *format >= '0' && *format <= '9'; format++)
			width = (width << 3) + (width << 1) + (uint32_t)(*format - '0');
		switch (*format) {
		case 'u':
			number(va_arg(arguments, uint32_t), 0, 0, width, fill);
			break;
		case 'd': {
			uint32_t value = va_arg(arguments, uint32_t);
			int negative = (int32_t)value < 0;
			number(negative ? -value : value, 0, negative, width, fill);
			break;
		}
		case 'x':
			number(va_arg(arguments, uint32_t), 1, 0, width, fill);
			break;
		case 's':
			bv_puts(va_arg(arguments, const char *));
			break;
		case 'c':
			bv_putc(va_arg(arguments, int));
			break;
		case '\0':
			format--;
			break;
		default:
			bv_putc(*format);
		}
	}
	va_end(arguments);
}

/* ---- Traps and interrupts ------------------------------------------------------------------ */

static void (*handlers[MAX_CORES][3])(void); /* software, timer, external: causes 3, 7, 11 */

__attribute__((weak)) uint32_t bv_trap_hook(uint32_t cause, uint32_t pc, uint32_t value)
{
	(void)cause, (void)pc, (void)value;
	return 0;
}

/* Called by the trap entry for all that no probe expects; returns where to go on. */
uint32_t bv_trap(uint32_t cause, uint32_t pc, uint32_t value)
{
	struct bv_core *core = bv_core();
	if (cause >> 31) {
		void (*handler)(void) = handlers[core->number][(cause & 15) >> 2];
		/* The core sees a level late, so a mailbox that was just read may seem full again. */
		if ((cause & 15) == BV_SOFTWARE &&
		    !BV_REGISTER(BV_CORE_MAILBOX_FULL(core->number)))
			return pc;
		if (handler) {
			handler();
			return pc;
		}
	} else if (!core->panicking) {
		uint32_t next = bv_trap_hook(cause, pc, value);
		if (next)
			return next;
	}
	if (!core->panicking) {
		core->panicking = 1;
		bv_printf("[trap cause 0x%x pc 0x%08x address 0x%08x cluster %u,%u core %u]\n",
		          (unsigned)cause, (unsigned)pc, (unsigned)value, (unsigned)bv_vm.x,
		          (unsigned)bv_vm.y, (unsigned)core->number);
		bv_exit(BV_TRAP_STATUS);
	}
	bv_stop();
}

void bv_on_interrupt(enum bv_interrupt which, void (*handler)(void))
{
	uint32_t bit = 1u << which;
	if (handler) {
		handlers[bv_core()->number][which >> 2] = handler;
		__asm__ volatile("csrs mie, %0" ::"r"(bit) : "memory");
	} else {
		__asm__ volatile("csrc mie, %0" ::"r"(bit) : "memory");
	}
}

int bv_interrupts(int on)
{
	uint32_t before;
	if (on)
		__asm__ volatile("csrrsi %0, mstatus, 8" : "=r"(before)::"memory");
	else
		__asm__ volatile("csrrci %0, mstatus, 8" : "=r"(before)::"memory");
	return before >> 3 & 1;
}

void bv_core_send(uint32_t gx, uint32_t gy, uint32_t core, uint32_t word)
{
	uint32_t cluster = BV_CLUSTER(gx, gy);
	while (BV_REGISTER(cluster | BV_CORE_MAILBOX_FULL_OFFSET(core)))
		;
	BV_REGISTER(cluster | BV_CORE_MAILBOX_OFFSET(core)) = word;
}

uint32_t bv_core_receive(void)
{
	uint32_t core = bv_core()->number;
	while (!BV_REGISTER(BV_CORE_MAILBOX_FULL(core)))
		;
	return BV_REGISTER(BV_CORE_MAILBOX(core));
}

uint64_t bv_time(void)
{
	uint32_t low, high;
	do {
		high = BV_REGISTER(BV_TIME_HIGH);
		low = BV_REGISTER(BV_TIME);
	} while (high != BV_REGISTER(BV_TIME_HIGH));
	return (uint64_t)high << 32 | low;
}

void bv_timer_at(uint64_t time)
{
	uint32_t core = bv_core()->number;
	/* All ones first, so that no half-written value is in the past. */
	BV_REGISTER(BV_CORE_COMPARE_HIGH(core)) = UINT32_MAX;
	BV_REGISTER(BV_CORE_COMPARE(core)) = (uint32_t)time;
	BV_REGISTER(BV_CORE_COMPARE_HIGH(core)) = (uint32_t)(time >> 32);
}

void bv_channel_interrupt(uint32_t channel, uint32_t enable)
{
	uint32_t address = BV_CORE_ENABLE(bv_core()->number);
	uint32_t others = BV_REGISTER(address) & ~(1u << channel);
	BV_REGISTER(BV_CHANNEL_ENABLE(channel)) = enable;
	BV_REGISTER(address) = others | (enable ? 1u << channel : 0);
}
