/* SPDX-License-Identifier: Apache-2.0
 *
 * Addresses a guest can use. Made from hdl/abi.py by `python -m blindvisor.sw.cheader`: edit that.
 *
 * A guest-physical address is gx[31:28] gy[27:24] offset[23:0]. Everything is little-endian.
 * Registers and channels take whole, aligned words only; anything else is a precise access fault.
 */
#ifndef BLINDVISOR_H
#define BLINDVISOR_H

#ifndef __ASSEMBLER__
#include <stdint.h>
#define BV_UINT32(value) ((uint32_t)(value))
#define BV_REGISTER(address) (*(volatile uint32_t *)(uintptr_t)(address))
#else
#define BV_UINT32(value) (value)
#endif

/* Where things are: own cluster, or cluster (gx, gy) of the VM. */
#define BV_OWN_CLUSTER BV_UINT32(0xff000000)
#define BV_CLUSTER(gx, gy) (BV_UINT32(gx) << 28 | BV_UINT32(gy) << 24)
#define BV_REGISTER_OFFSET BV_UINT32(0x800000)
#define BV_WINDOW_OFFSET BV_UINT32(0xc00000)

/* Identity, faults and time of a cluster. */
#define BV_COORDINATES_OFFSET BV_UINT32(0x800000)
#define BV_COORDINATES BV_UINT32(0xff800000)
#define BV_SIZE_OFFSET BV_UINT32(0x800004)
#define BV_SIZE BV_UINT32(0xff800004)
#define BV_CORE_OFFSET BV_UINT32(0x800008)
#define BV_CORE BV_UINT32(0xff800008)
#define BV_MEMORY_OFFSET BV_UINT32(0x80000c)
#define BV_MEMORY BV_UINT32(0xff80000c)
#define BV_FAULTS_OFFSET BV_UINT32(0x800010)
#define BV_FAULTS BV_UINT32(0xff800010)
#define BV_FAULT_ADDRESS_OFFSET BV_UINT32(0x800014)
#define BV_FAULT_ADDRESS BV_UINT32(0xff800014)
#define BV_TIME_OFFSET BV_UINT32(0x800018)
#define BV_TIME BV_UINT32(0xff800018)
#define BV_TIME_HIGH_OFFSET BV_UINT32(0x80001c)
#define BV_TIME_HIGH BV_UINT32(0xff80001c)
#define BV_FLAGS_OFFSET BV_UINT32(0x800020)
#define BV_FLAGS BV_UINT32(0xff800020)

/* Timer, software interrupt and channel interrupts of a core. */
#define BV_CORE_COMPARE_OFFSET(core) (BV_UINT32(0x800200) + 0x20 * BV_UINT32(core))
#define BV_CORE_COMPARE(core) (BV_UINT32(0xff800200) + 0x20 * BV_UINT32(core))
#define BV_CORE_COMPARE_HIGH_OFFSET(core) (BV_UINT32(0x800204) + 0x20 * BV_UINT32(core))
#define BV_CORE_COMPARE_HIGH(core) (BV_UINT32(0xff800204) + 0x20 * BV_UINT32(core))
#define BV_CORE_MAILBOX_OFFSET(core) (BV_UINT32(0x800208) + 0x20 * BV_UINT32(core))
#define BV_CORE_MAILBOX(core) (BV_UINT32(0xff800208) + 0x20 * BV_UINT32(core))
#define BV_CORE_MAILBOX_FULL_OFFSET(core) (BV_UINT32(0x80020c) + 0x20 * BV_UINT32(core))
#define BV_CORE_MAILBOX_FULL(core) (BV_UINT32(0xff80020c) + 0x20 * BV_UINT32(core))
#define BV_CORE_PENDING_OFFSET(core) (BV_UINT32(0x800210) + 0x20 * BV_UINT32(core))
#define BV_CORE_PENDING(core) (BV_UINT32(0xff800210) + 0x20 * BV_UINT32(core))
#define BV_CORE_ENABLE_OFFSET(core) (BV_UINT32(0x800214) + 0x20 * BV_UINT32(core))
#define BV_CORE_ENABLE(core) (BV_UINT32(0xff800214) + 0x20 * BV_UINT32(core))

/* Guest channel n, own cluster only. */
#define BV_CHANNEL_STATUS(n) (BV_UINT32(0xffc00000) + 0x10000 * BV_UINT32(n))
#define BV_CHANNEL_DATA(n) (BV_UINT32(0xffc00004) + 0x10000 * BV_UINT32(n))
#define BV_CHANNEL_ENABLE(n) (BV_UINT32(0xffc00008) + 0x10000 * BV_UINT32(n))
#define BV_CHANNEL_READABLE BV_UINT32(0x1)
#define BV_CHANNEL_WRITABLE BV_UINT32(0x2)
#define BV_CHANNEL_KIND(status) ((status) >> 8 & 0xffu)
#define BV_KIND_TTY BV_UINT32(0x0)
#define BV_KIND_MAILBOX BV_UINT32(0x1)
#define BV_KIND_ATTEST BV_UINT32(0x2)

#endif
