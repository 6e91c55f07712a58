/* SPDX-License-Identifier: Apache-2.0
 *
 * hello: the smallest guest. Says where it believes to be, which is all that a guest can know: its
 * own rectangle. Every cluster reports to cluster (0, 0) by a remote store, so the last line shows
 * that all of them ran.
 */
#include "runtime.h"

static volatile uint8_t here[256];

int main(void)
{
	if (bv_core()->number == 0)
		*(volatile uint8_t *)bv_remote(0, 0, &here[bv_vm.index]) = 1;
	bv_barrier();
	if (!bv_is_first())
		return 0;

	uint32_t count = 0;
	for (uint32_t i = 0; i < bv_vm.clusters; i++)
		count += here[i];
	bv_printf("hello from a VM of %u x %u clusters, %u core(s) and %u bytes each\n",
	          bv_vm.width, bv_vm.height, bv_vm.cores, bv_vm.memory);
	bv_printf("%u of %u clusters are here\n", count, bv_vm.clusters);
	return count != bv_vm.clusters;
}
