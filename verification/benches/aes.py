# SPDX-License-Identifier: Apache-2.0
"""cocotb bench of the cipher, driven through its Verilog netlist."""

import os
import random
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge
from Crypto.Cipher import AES

from blindvisor.hdl.loader.aes import cipher_cycles, cipher_lanes

__all__ = ["environment"]


def environment(*, sboxes: int) -> dict[str, str]:
    """Return the environment for this cipher."""
    return {"AES_SBOXES": str(sboxes)}


async def begin(dut: Any, key: bytes, blocks: list[bytes]) -> None:
    """Give the cipher its work; key and blocks are there for one cycle."""
    dut.key.value = int.from_bytes(key, "little")
    dut.short.value = len(key) == 16
    dut.user__blocks.value = int.from_bytes(b"".join(blocks), "little")
    dut.user__start.value = 1
    await RisingEdge(dut.clk)
    dut.user__start.value = 0
    dut.key.value = 0
    dut.user__blocks.value = 0


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def blocks_follow_pycryptodome(dut: Any) -> None:
    """Random keys and blocks, some after work that was given up, in a fixed number of cycles."""
    sboxes = int(os.environ["AES_SBOXES"])
    lanes = cipher_lanes(sboxes)
    rng = random.Random(cocotb.RANDOM_SEED)
    dut.user__start.value = 0
    Clock(dut.clk, 10, "ns").start()
    dut.rst.value = 1
    await ClockCycles(dut.clk, 2)
    dut.rst.value = 0
    for n in range(60):
        key = rng.randbytes(rng.choice([16, 32]))
        blocks = [rng.randbytes(16) for _ in range(lanes)]
        if n % 4 == 0:
            await begin(dut, rng.randbytes(len(key)), blocks)
            await ClockCycles(dut.clk, rng.randint(1, cipher_cycles(sboxes, short=True) - 1))
        await begin(dut, key, blocks)
        for cycle in range(1, 200):
            await RisingEdge(dut.clk)
            if dut.user__ready.value:
                assert cycle == cipher_cycles(sboxes, short=len(key) == 16)
                break
        else:
            raise AssertionError("never ready")
        results = int(dut.user__results.value).to_bytes(16 * lanes, "little")
        assert results == AES.new(key, AES.MODE_ECB).encrypt(b"".join(blocks))
