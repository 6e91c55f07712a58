/* SPDX-License-Identifier: Apache-2.0
 *
 * attacker: tries to get at everything that is not this VM's, from every core of it, and says what
 * came of it. A try is blocked only if it ended in an access-fault trap of the right kind, at the
 * right address. The guest must have been given guest channel 0 (its TTY) and no other.
 *
 * Prints one line per class, "CLASS: N tried, N trapped, N leaked", and exits with 0 if nothing
 * leaked. How many tries there must be is known to expected.py: none can get lost silently.
 *
 * Every core tries every foreign cluster; the long lists of offsets are dealt over the cores.
 */
#include "runtime.h"

#define STOLEN 0xbadc0de5u /* what is written where nothing may be written */
#define PAGES 64u          /* of 64 KiB: the I/O window */
#define REGISTERS 0x1000u  /* bytes of them */

enum class {
	FOREIGN_MEMORY,
	FOREIGN_DEVICES,
	FETCHES,
	BEYOND_MEMORY,
	UNDEFINED_REGISTERS,
	PARTS_OF_REGISTERS,
	READ_ONLY_REGISTERS,
	CHANNELS,
	CHANNEL_REGISTERS,
	OTHER_WINDOWS,
	CLASSES
};

static const char *const names[CLASSES] = {
	[FOREIGN_MEMORY] = "foreign memory",
	[FOREIGN_DEVICES] = "foreign devices",
	[FETCHES] = "fetches",
	[BEYOND_MEMORY] = "beyond the memory",
	[UNDEFINED_REGISTERS] = "undefined registers",
	[PARTS_OF_REGISTERS] = "parts of registers",
	[READ_ONLY_REGISTERS] = "read-only registers",
	[CHANNELS] = "other channels",
	[CHANNEL_REGISTERS] = "channel registers",
	[OTHER_WINDOWS] = "other windows",
};

struct count {
	uint32_t tried, trapped, leaked, leak; /* leak: address of the first */
};
static struct count counts[4][CLASSES];

static uint32_t workers;

static uint32_t worker(void)
{
	return bv_vm.index * bv_vm.cores + bv_core()->number;
}

/* What a try did, and which cause it should have had. */
static void count(enum class class, uint32_t address, int trapped, uint32_t cause)
{
	struct bv_core *core = bv_core();
	struct count *count = &counts[core->number][class];
	count->tried++;
	/* A core may give the address of the word only. */
	if (trapped && core->cause == cause && !((core->value ^ address) & ~3u))
		count->trapped++;
	else if (!count->leaked++)
		count->leak = address;
}

static void store(enum class class, uint32_t address)
{
	count(class, address, bv_probe_store(address, STOLEN), BV_STORE_FAULT);
}

static void fetch(uint32_t address)
{
	count(FETCHES, address, bv_probe_fetch(address), BV_FETCH_FAULT);
}

static void both(enum class class, uint32_t address)
{
	uint32_t value;
	count(class, address, bv_probe_load(address, &value), BV_LOAD_FAULT);
	store(class, address);
}

static void parts(enum class class, uint32_t address)
{
	uint32_t value;
	count(class, address + 2, bv_probe_load_half(address + 2, &value), BV_LOAD_FAULT);
	count(class, address + 3, bv_probe_load_byte(address + 3, &value), BV_LOAD_FAULT);
	count(class, address, bv_probe_store_half(address, STOLEN), BV_STORE_FAULT);
	count(class, address + 1, bv_probe_store_byte(address + 1, STOLEN), BV_STORE_FAULT);
}

/* All coordinates but the VM's own; (15, 15) means the own cluster. */
static void foreign_clusters(void)
{
	uint32_t number = 0, next = worker();
	for (uint32_t pair = 0; pair < 0xff; pair++) {
		uint32_t gx = pair & 15, gy = pair >> 4, base = BV_CLUSTER(gx, gy);
		if (gx < bv_vm.width && gy < bv_vm.height)
			continue;
		both(FOREIGN_MEMORY, base + bv_vm.memory / 4); /* where victim.c keeps its secret */
		if (number++ != next)
			continue;
		next += workers;
		both(FOREIGN_DEVICES, base | BV_COORDINATES_OFFSET);
		both(FOREIGN_DEVICES, base | BV_CORE_MAILBOX_OFFSET(0));
		both(FOREIGN_DEVICES, base | BV_WINDOW_OFFSET);
	}
}

/* From a foreign cluster, from a sibling's memory, and from where there is no memory. */
static void fetches(uint32_t sibling)
{
	int wide = bv_vm.width == 16;
	fetch(BV_CLUSTER(wide ? 0 : bv_vm.width, wide ? bv_vm.height : 0));
	fetch(BV_OWN_CLUSTER | bv_vm.memory);
	fetch(BV_COORDINATES);
	fetch(BV_CHANNEL_STATUS(BV_TTY));
	if (bv_vm.clusters > 1)
		fetch(sibling);
}

static void beyond_memory(uint32_t base)
{
	static const uint32_t offsets[] = {0x400000, 0x7ffffc, 0x801000, 0xa00000, 0xbffffc};
	both(BEYOND_MEMORY, base + bv_vm.memory);
	parts(BEYOND_MEMORY, base + bv_vm.memory);
	both(BEYOND_MEMORY, base + 2 * bv_vm.memory - 4);
	for (uint32_t i = 0; i < sizeof offsets / sizeof *offsets; i++)
		both(BEYOND_MEMORY, base + offsets[i]);
}

static int defined(uint32_t offset)
{
	return offset < 0x24 ||
	       (offset >= 0x200 && offset < 0x200 + 0x20 * bv_vm.cores && (offset & 0x1f) < 0x18);
}

static void registers(uint32_t base)
{
	base |= BV_REGISTER_OFFSET;
	for (uint32_t offset = 0; offset < 0x200 + 0x20 * bv_vm.cores; offset += 4)
		if (defined(offset))
			parts(PARTS_OF_REGISTERS, base + offset);
}

static void undefined_registers(void)
{
	for (uint32_t offset = 4 * worker(); offset < REGISTERS; offset += 4 * workers)
		if (!defined(offset))
			both(UNDEFINED_REGISTERS, BV_COORDINATES + offset);
}

static void read_only_registers(void)
{
	uint32_t core = bv_core()->number;
	const uint32_t addresses[] = {BV_COORDINATES, BV_SIZE, BV_CORE, BV_MEMORY, BV_FAULTS, BV_TIME,
	                              BV_TIME_HIGH, BV_FLAGS, BV_CORE_MAILBOX_FULL(core),
	                              BV_CORE_PENDING(core)};
	for (uint32_t i = 0; i < sizeof addresses / sizeof *addresses; i++)
		store(READ_ONLY_REGISTERS, addresses[i]);
}

static void channels(void)
{
	for (uint32_t page = 1 + worker(); page < PAGES; page += workers) {
		both(CHANNELS, BV_CHANNEL_STATUS(page));
		both(CHANNELS, BV_CHANNEL_DATA(page));
		both(CHANNELS, BV_CHANNEL_ENABLE(page));
	}
}

static void channel_registers(void)
{
	uint32_t page = BV_CHANNEL_STATUS(BV_TTY);
	both(CHANNEL_REGISTERS, page + 0xc);
	for (uint32_t offset = 0x10; offset < 0x10000; offset <<= 1) {
		both(CHANNEL_REGISTERS, page + offset);
		both(CHANNEL_REGISTERS, page + offset + 4);
	}
	parts(CHANNEL_REGISTERS, BV_CHANNEL_STATUS(BV_TTY));
	parts(CHANNEL_REGISTERS, BV_CHANNEL_DATA(BV_TTY));
	parts(CHANNEL_REGISTERS, BV_CHANNEL_ENABLE(BV_TTY));
	store(CHANNEL_REGISTERS, BV_CHANNEL_STATUS(BV_TTY));
}

static void other_windows(void)
{
	for (uint32_t i = 0; i < bv_vm.clusters; i++) {
		if (i == bv_vm.index)
			continue;
		uint32_t base = (uint32_t)(uintptr_t)bv_remote_at(i, 0);
		for (uint32_t channel = 0; channel < 4; channel++) {
			both(OTHER_WINDOWS, base + (BV_CHANNEL_STATUS(channel) & 0xffffff));
			store(OTHER_WINDOWS, base + (BV_CHANNEL_DATA(channel) & 0xffffff));
		}
	}
}

static uint32_t report(void)
{
	uint32_t leaks = 0, denied = 0;
	for (uint32_t class = 0; class < CLASSES; class++) {
		struct count all = {0, 0, 0, 0};
		for (uint32_t i = 0; i < bv_vm.clusters; i++)
			for (uint32_t core = 0; core < bv_vm.cores; core++) {
				volatile struct count *count = bv_remote_at(i, &counts[core][class]);
				if (!all.leaked)
					all.leak = count->leak;
				all.tried += count->tried;
				all.trapped += count->trapped;
				all.leaked += count->leaked;
			}
		bv_printf("%s: %u tried, %u trapped, %u leaked\n", names[class], all.tried, all.trapped,
		          all.leaked);
		if (all.leaked)
			bv_printf("  first leak at 0x%08x\n", all.leak);
		leaks += all.leaked;
	}
	for (uint32_t i = 0; i < bv_vm.clusters; i++)
		denied += BV_REGISTER(bv_remote_at(i, (void *)(uintptr_t)BV_FAULTS));
	bv_printf("denied by the SMMUs: %u\n", denied);
	return leaks;
}

int main(void)
{
	workers = bv_vm.clusters * bv_vm.cores; /* every core writes the same */
	uint32_t next = bv_vm.index + 1 < bv_vm.clusters ? bv_vm.index + 1 : 0;
	uint32_t sibling = (uint32_t)(uintptr_t)bv_remote_at(next, 0);

	foreign_clusters();
	fetches(sibling);
	beyond_memory(BV_OWN_CLUSTER);
	registers(BV_OWN_CLUSTER);
	if (bv_vm.clusters > 1) {
		beyond_memory(sibling);
		registers(sibling);
	}
	undefined_registers();
	read_only_registers();
	channels();
	channel_registers();
	other_windows();
	bv_barrier();
	return bv_is_first() && report() ? 1 : 0;
}
