# amaranth: UnusedElaboratable=no
"""Key derivation in gateware against the image tool's."""

import pytest
from amaranth import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from blindvisor.hdl.loader.aes import Aes, cipher_cycles
from blindvisor.hdl.loader.kdf import Kdf
from blindvisor.sim import pysim
from blindvisor.sw.image.keys import key_encryption_key


class KdfWithCipher(wiring.Component):
    """Derives from ``key``."""

    key: Signal
    start: Signal
    valid: Signal
    half: Signal
    done: Signal

    def __init__(self, *, sboxes):
        self.aes = Aes(sboxes=sboxes)
        super().__init__(
            {"key": In(256), "start": In(1), "valid": Out(1), "half": Out(128), "done": Out(1)}
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.aes = self.aes
        m.submodules.kdf = kdf = Kdf(lanes=self.aes.lanes)
        wiring.connect(m, kdf.cipher, self.aes.user)
        m.d.comb += [
            self.aes.key.eq(self.key),
            kdf.start.eq(self.start),
            self.valid.eq(kdf.valid),
            self.half.eq(kdf.half),
            self.done.eq(kdf.done),
        ]
        return m


@pytest.mark.parametrize("sboxes", [16, 32])
def test_keys_are_derived_in_constant_time(sboxes):
    dut = KdfWithCipher(sboxes=sboxes)
    # L = E(0) starts with a 1 for some of these keys and with a 0 for others: both cases of K1
    keys = [bytes(32), b"\xff" * 32, bytes(range(32)), bytes(range(100, 132))]

    async def testbench(ctx):
        for key in keys:
            ctx.set(dut.key, int.from_bytes(key, "little"))
            ctx.set(dut.start, 1)
            await ctx.tick()
            ctx.set(dut.start, 0)
            halves = []
            cycles = 1
            while cycles < 200:
                if ctx.get(dut.valid):
                    halves.append(ctx.get(dut.half).to_bytes(16, "little"))
                if ctx.get(dut.done):
                    break
                await ctx.tick()
                cycles += 1
            assert cycles == 5 * cipher_cycles(sboxes)
            assert b"".join(halves) == key_encryption_key(key)
            await ctx.tick()
            assert not ctx.get(dut.valid)

    pysim.simulate(dut, testbench)
