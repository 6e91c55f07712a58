# SPDX-License-Identifier: Apache-2.0
"""cocotb bench of the hash, driven through its Verilog netlist."""

import hashlib
import os
import random
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, FallingEdge

__all__ = ["environment"]


def environment(*, messages: int) -> dict[str, str]:
    """Return the environment for so many random messages."""
    return {"SHA_MESSAGES": str(messages)}


async def clear(dut: Any) -> None:
    """Begin anew, whatever is going on."""
    dut.clear.value = 1
    await FallingEdge(dut.clk)
    dut.clear.value = 0


async def feed(dut: Any, message: bytes, rng: random.Random, *, longest: int) -> None:
    """Offer all blocks with pauses before each; return when the last one was taken."""
    for place in range(0, len(message), 16):
        for _ in range(rng.randint(0, longest)):
            await FallingEdge(dut.clk)
        dut.sink__valid.value = 1
        dut.sink__payload.value = int.from_bytes(message[place : place + 16], "little")
        while not dut.sink__ready.value:
            await FallingEdge(dut.clk)
        await FallingEdge(dut.clk)
        dut.sink__valid.value = 0
        dut.sink__payload.value = rng.getrandbits(128)


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def messages_follow_hashlib(dut: Any) -> None:
    """Random messages of all short lengths, some after work that was given up."""
    rng = random.Random(cocotb.RANDOM_SEED)
    dut.clear.value = 0
    dut.finish.value = 0
    dut.sink__valid.value = 0
    Clock(dut.clk, 10, "ns").start()
    dut.rst.value = 1
    await ClockCycles(dut.clk, 2)
    await FallingEdge(dut.clk)
    dut.rst.value = 0
    for number in range(int(os.environ["SHA_MESSAGES"])):
        longest = rng.choice([0, 7, 50])
        if number % 4 == 1:
            await feed(dut, rng.randbytes(16 * rng.randint(1, 12)), rng, longest=longest)
            await ClockCycles(dut.clk, rng.randint(1, 40))
            await FallingEdge(dut.clk)
            await clear(dut)
        message = rng.randbytes(16 * (number % 14))
        await feed(dut, message, rng, longest=longest)
        dut.finish.value = 1
        await FallingEdge(dut.clk)
        dut.finish.value = 0
        for _ in range(100):
            if dut.done.value:
                break
            await FallingEdge(dut.clk)
        else:
            raise AssertionError("not done 100 cycles after the end")
        digest = int(dut.digest.value).to_bytes(32, "little")
        assert digest == hashlib.sha256(message).digest(), len(message)
        await FallingEdge(dut.clk)
        assert not dut.done.value
        await clear(dut)
