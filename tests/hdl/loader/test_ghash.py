# amaranth: UnusedElaboratable=no
"""GHASH against the standard's own algorithm."""

import random

import pytest

from blindvisor.hdl.loader.ghash import Ghash
from blindvisor.sim import pysim


def multiply(x, y):
    """SP 800-38D, algorithm 1, on integers whose first bit is the most significant."""
    z, v = 0, y
    for i in range(128):
        z ^= v if x >> 127 - i & 1 else 0
        v = v >> 1 ^ (0xE1 << 120 if v & 1 else 0)
    return z


def ghash(key, blocks):
    """SP 800-38D, algorithm 2."""
    y = 0
    for block in blocks:
        y = multiply(y ^ int.from_bytes(block, "big"), int.from_bytes(key, "big"))
    return y.to_bytes(16, "big")


def test_oracle_gives_the_published_hash():
    # GCM specification (McGrew, Viega), test case 2
    key = bytes.fromhex("66e94bd4ef8a2c3b884cfa59ca342b2e")
    blocks = ["0388dace60b6a392f328c2b971b2fe78", "00000000000000000000000000000080"]
    assert ghash(key, map(bytes.fromhex, blocks)).hex() == "f38cbb1ad69223dcc3457ae5b6b0f885"


@pytest.mark.parametrize("digit", [0, 3, 128, "8"])
def test_wrong_digit_is_refused(digit):
    with pytest.raises(ValueError, match=r"^digit must be a power of two from 1 to 64, not "):
        Ghash(digit=digit)


@pytest.mark.parametrize("digit", [1, 4, 16, 32, 64])
def test_hash_follows_the_standard_in_constant_time(digit):
    rng = random.Random(digit)
    dut = Ghash(digit=digit)
    corners = [bytes(16), b"\xff" * 16, b"\x80" + bytes(15), bytes(15) + b"\x01"]

    async def testbench(ctx):
        for _ in range(3):
            key = rng.choice([*corners, rng.randbytes(16), rng.randbytes(16)])
            ctx.set(dut.key, int.from_bytes(key, "little"))
            ctx.set(dut.clear, 1)
            await ctx.tick()
            ctx.set(dut.clear, 0)
            blocks = []
            for _ in range(4):
                block = rng.choice([*corners, rng.randbytes(16), rng.randbytes(16)])
                blocks.append(block)
                ctx.set(dut.block, int.from_bytes(block, "little"))
                ctx.set(dut.valid, 1)
                await ctx.tick()
                ctx.set(dut.valid, 0)
                ctx.set(dut.block, rng.getrandbits(128))
                cycles = 1
                while not ctx.get(dut.ready):
                    await ctx.tick()
                    cycles += 1
                assert cycles == dut.cycles
                if rng.randrange(2):
                    await ctx.tick()
                assert ctx.get(dut.hash).to_bytes(16, "little") == ghash(key, blocks)

    pysim.simulate(dut, testbench)
