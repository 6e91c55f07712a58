# amaranth: UnusedElaboratable=no
"""SHA-256 in gateware against published vectors and Python's."""

import hashlib
import random

import pytest

from blindvisor.hdl.loader.sha256 import CHUNK_CYCLES, HALVES, Sha256
from blindvisor.sim import pysim


async def hashed(ctx, dut, message, pause=lambda: 0):
    """Hash; return the digest, the cycles from ``clear`` to ``done``, and those in which a block
    waited."""
    ctx.set(dut.clear, 1)
    await ctx.tick()
    ctx.set(dut.clear, 0)
    assert ctx.get(dut.digest) == 0
    blocks = [message[n : n + 16] for n in range(0, len(message), 16)]
    limit = 100 * len(blocks) + 200
    cycles = waited = idle = 0
    finished = False
    while not ctx.get(dut.done):
        assert cycles < limit
        offered = bool(blocks) and idle == 0
        ctx.set(dut.sink.valid, offered)
        ctx.set(dut.sink.payload, int.from_bytes(blocks[0], "little") if offered else -1)
        ready = ctx.get(dut.sink.ready)
        if offered and ready:
            blocks.pop(0)
            idle = pause()
        elif offered:
            waited += 1
        else:
            idle = max(0, idle - 1)
        ctx.set(dut.finish, not blocks and not finished)
        finished = not blocks
        await ctx.tick()
        cycles += 1
    ctx.set(dut.sink.valid, 0)
    ctx.set(dut.finish, 0)
    digest = ctx.get(dut.digest).to_bytes(32, "little")
    await ctx.tick()
    assert not ctx.get(dut.done)
    await ctx.tick().repeat(70)
    assert ctx.get(dut.digest).to_bytes(32, "little") == digest
    return digest, cycles, waited


# NIST CAVP, SHA256ShortMsg.rsp: Len = 0, 128 and 512
PUBLISHED = [
    ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    (
        "0a27847cdc98bd6f62220b046edd762b",
        "80c25ec1600587e7f28b18b1b18e3cdc89928e39cab3bc25e4d4a4c139bcedc4",
    ),
    (
        (
            "5a86b737eaea8ee976a0a24da63e7ed7eefad18a101c1211e2b3650c5187c2a8"
            "a650547208251f6d4237e661c7bf4c77f335390394c37fa1a9f9be836ac28509"
        ),
        "42e61e174fbb3897d6dd6cef3dd2802fe67b331953b06114a65c772859dfc1aa",
    ),
]


def test_published_vectors():
    dut = Sha256()

    async def testbench(ctx):
        for message, digest in PUBLISHED:
            assert (await hashed(ctx, dut, bytes.fromhex(message)))[0].hex() == digest

    pysim.simulate(dut, testbench)


def test_all_lengths_and_pauses():
    rng = random.Random(1)
    dut = Sha256()

    async def testbench(ctx):
        for blocks in [*range(10), 16]:
            for longest in (0, 3, 40):
                message = rng.randbytes(16 * blocks)

                def pause(longest=longest):
                    return rng.randint(0, longest)

                digest, _, _ = await hashed(ctx, dut, message, pause)
                assert digest == hashlib.sha256(message).digest(), (blocks, longest)

    pysim.simulate(dut, testbench, deadline=100_000)


@pytest.mark.parametrize("late", range(8))
def test_a_block_in_each_eight_cycles_never_waits(late):
    """The rate of the monitor lane, whatever the phase of the first block."""
    rng = random.Random(late)
    dut = Sha256()
    message = rng.randbytes(16 * 32)

    async def testbench(ctx):
        start = iter([7 + late])
        digest, _, waited = await hashed(ctx, dut, message, lambda: next(start, 7))
        assert digest == hashlib.sha256(message).digest()
        assert waited <= 8  # those after clear

    pysim.simulate(dut, testbench)


def test_the_rate_is_that_of_the_rounds():
    dut = Sha256()
    rng = random.Random(2)

    async def testbench(ctx):
        cycles = []
        for chunks in (8, 9):
            for message in (bytes(64 * chunks), rng.randbytes(64 * chunks)):
                digest, taken, _ = await hashed(ctx, dut, message)
                assert digest == hashlib.sha256(message).digest()
                cycles.append(taken)
        assert cycles[0] == cycles[1]  # P7
        assert cycles[2] == cycles[3]
        assert cycles[2] - cycles[0] == CHUNK_CYCLES

    pysim.simulate(dut, testbench)


def test_done_comes_soon_after_the_last_block():
    dut = Sha256()

    async def testbench(ctx):
        for blocks in range(9):
            _, cycles, _ = await hashed(ctx, dut, bytes(16 * blocks), lambda: 60)
            assert cycles <= 8 + 61 * blocks + 100, blocks

    pysim.simulate(dut, testbench)


def test_clear_at_any_time_leaves_nothing():
    """Whatever was being hashed, the next digest is right; the buffer is all zero before it."""
    rng = random.Random(3)
    dut = Sha256()

    async def testbench(ctx):
        for cycles in [*range(0, 120, 3), *(rng.randrange(200) for _ in range(10))]:
            ctx.set(dut.sink.valid, 1)
            for cycle in range(cycles):
                ctx.set(dut.sink.payload, rng.getrandbits(128))
                ctx.set(dut.finish, cycle == cycles // 2)
                await ctx.tick()
            ctx.set(dut.finish, 0)
            message = rng.randbytes(32)
            assert (await hashed(ctx, dut, message))[0] == hashlib.sha256(message).digest()

    pysim.simulate(dut, testbench, deadline=30_000)


def test_the_buffer_is_overwritten_after_clear():
    dut = Sha256()

    async def testbench(ctx):
        def kept():
            return [ctx.get(dut.buffer.data[n]) for n in range(HALVES)]

        await ctx.tick().repeat(8)
        ctx.set(dut.sink.valid, 1)
        ctx.set(dut.sink.payload, -1)
        await ctx.tick().repeat(30)
        assert any(kept())
        ctx.set(dut.sink.valid, 0)
        ctx.set(dut.clear, 1)
        await ctx.tick()
        ctx.set(dut.clear, 0)
        await ctx.tick().repeat(8)
        assert not any(kept())

    pysim.simulate(dut, testbench)
