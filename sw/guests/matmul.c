/* SPDX-License-Identifier: Apache-2.0
 *
 * matmul: one integer matrix product by all cores of all clusters of the VM.
 *
 * C = A B, 16 x 16, in 16 blocks of 4 x 4. The rows of A, B and C are dealt over the clusters, the
 * blocks over the cores: a core fetches what its block needs by remote loads and puts the result
 * where it belongs by remote stores. The checksum depends on the VM's size, as the contents do;
 * expected.py computes the same.
 */
#include "runtime.h"

#define N 16
#define BLOCK 4

/* Row r is in cluster r % clusters, at place r / clusters. */
static volatile uint32_t a[N][N], b[N][N], c[N][N];

static volatile uint32_t *row(volatile uint32_t matrix[N][N], uint32_t r)
{
	uint32_t place = 0;
	for (; r >= bv_vm.clusters; r -= bv_vm.clusters)
		place++;
	return bv_remote_at(r, matrix[place]);
}

static void fill(void)
{
	uint32_t seed = bv_vm.width + 16 * bv_vm.height;
	for (uint32_t r = bv_vm.index; r < N; r += bv_vm.clusters) {
		volatile uint32_t *a_row = row(a, r), *b_row = row(b, r);
		for (uint32_t i = 0; i < N; i++) {
			a_row[i] = (3 * r + 5 * i + seed) & 15;
			b_row[i] = (7 * r + i + (seed >> 2)) & 31;
		}
	}
}

static void multiply(uint32_t top, uint32_t left)
{
	uint32_t rows[BLOCK][N], columns[BLOCK][N];
	for (uint32_t i = 0; i < BLOCK; i++) {
		volatile uint32_t *a_row = row(a, top + i);
		for (uint32_t k = 0; k < N; k++)
			rows[i][k] = a_row[k];
	}
	for (uint32_t k = 0; k < N; k++) {
		volatile uint32_t *b_row = row(b, k);
		for (uint32_t j = 0; j < BLOCK; j++)
			columns[j][k] = b_row[left + j];
	}
	for (uint32_t i = 0; i < BLOCK; i++) {
		volatile uint32_t *c_row = row(c, top + i);
		for (uint32_t j = 0; j < BLOCK; j++) {
			uint32_t sum = 0;
			for (uint32_t k = 0; k < N; k++)
				sum += rows[i][k] * columns[j][k];
			c_row[left + j] = sum;
		}
	}
}

int main(void)
{
	uint32_t start = BV_REGISTER(BV_TIME);
	if (bv_core()->number == 0)
		fill();
	bv_barrier();

	uint32_t workers = bv_vm.clusters * bv_vm.cores;
	uint32_t worker = bv_vm.index * bv_vm.cores + bv_core()->number;
	for (uint32_t block = worker; block < N / BLOCK * (N / BLOCK); block += workers)
		multiply(block / (N / BLOCK) * BLOCK, block % (N / BLOCK) * BLOCK);
	bv_barrier();
	if (!bv_is_first())
		return 0;

	uint32_t sum = 0;
	for (uint32_t r = 0; r < N; r++) {
		volatile uint32_t *c_row = row(c, r);
		for (uint32_t i = 0; i < N; i++)
			sum = bv_mix(sum, c_row[i]);
	}
	bv_printf("matmul: %u x %u by %u core(s) in %u cycles\n", N, N, workers,
	          BV_REGISTER(BV_TIME) - start);
	bv_printf("checksum 0x%08x\n", sum);
	return 0;
}
