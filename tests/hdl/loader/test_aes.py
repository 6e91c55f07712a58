# amaranth: UnusedElaboratable=no
"""The cipher against FIPS 197 and pycryptodome."""

import random

import pytest
from amaranth.sim import Simulator
from Crypto.Cipher import AES

from blindvisor.hdl.loader.aes import Aes, cipher_cycles
from blindvisor.hdl.loader.sbox import SBox, sbox
from blindvisor.sim import pysim

# FIPS 197, appendix C: key length in bytes, ciphertext
PLAIN = bytes.fromhex("00112233445566778899aabbccddeeff")
EXAMPLES = {
    16: "69c4e0d86a7b0430d8cdb78070b4c55a",
    32: "8ea2b7ca516745bfeafc49904b496089",
}


def definition(byte):
    """FIPS 197, section 5.1.1, by search and bit by bit."""
    inverse = next((n for n in range(256) if product(byte, n) == 1), 0)
    bits = [inverse >> n & 1 for n in range(8)]
    return sum(
        (sum(bits[(n + k) % 8] for k in (0, 4, 5, 6, 7)) + (0x63 >> n & 1)) % 2 << n
        for n in range(8)
    )


def product(a, b):
    """Carry-less product, then the remainder modulo 0x11B."""
    long = 0
    for n in range(8):
        long ^= (a << n) * (b >> n & 1)
    for n in reversed(range(8, 16)):
        long ^= (0x11B << n - 8) * (long >> n & 1)
    return long


def test_sbox_follows_its_definition_for_all_bytes():
    dut = SBox()

    async def testbench(ctx):
        for byte in range(256):
            ctx.set(dut.data, byte)
            await ctx.delay(1e-9)
            assert ctx.get(dut.value) == sbox(byte) == definition(byte)

    simulator = Simulator(dut)
    simulator.add_testbench(testbench)
    simulator.run()


@pytest.mark.parametrize("sboxes", [0, 12, 128, "16"])
def test_wrong_size_is_refused(sboxes):
    with pytest.raises(ValueError, match=r"^S-box count must be 4, 8, 16, 32 or 64, not "):
        Aes(sboxes=sboxes)


@pytest.mark.parametrize("sboxes", [4, 8, 16, 32, 64])
def test_blocks_are_enciphered_in_constant_time(sboxes):
    rng = random.Random(sboxes)
    dut = Aes(sboxes=sboxes)
    work = [(bytes(range(size)), [PLAIN] * dut.lanes) for size in EXAMPLES]
    for size in (32, 16, 16, 32):
        work.append((rng.randbytes(size), [rng.randbytes(16) for _ in range(dut.lanes)]))
    for size, expected in EXAMPLES.items():
        assert AES.new(bytes(range(size)), AES.MODE_ECB).encrypt(PLAIN).hex() == expected

    async def testbench(ctx):
        for key, blocks in work:
            ctx.set(dut.key, int.from_bytes(key, "little"))
            ctx.set(dut.short, len(key) == 16)
            ctx.set(dut.user.blocks, [int.from_bytes(block, "little") for block in blocks])
            ctx.set(dut.user.start, 1)
            await ctx.tick()
            ctx.set(dut.user.start, 0)
            ctx.set(dut.key, 0)
            cycles = 1
            while not ctx.get(dut.user.ready):
                await ctx.tick()
                cycles += 1
            assert cycles == cipher_cycles(sboxes, short=len(key) == 16)
            cipher = AES.new(key, AES.MODE_ECB)
            for lane, block in enumerate(blocks):
                result = ctx.get(dut.user.results[lane]).to_bytes(16, "little")
                assert result == cipher.encrypt(block)

    pysim.simulate(dut, testbench)
