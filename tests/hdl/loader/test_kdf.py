# amaranth: UnusedElaboratable=no
"""Key derivation and MACs in gateware against PyCryptodome's."""

import pytest
from amaranth import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, connect
from Crypto.Cipher import AES
from Crypto.Hash import CMAC
from Crypto.Protocol.KDF import SP800_108_Counter

from blindvisor.hdl.loader.aes import Aes, cipher_cycles
from blindvisor.hdl.loader.kdf import CONTEXT, LABELS, Kdf, KdfLabel
from blindvisor.sim import pysim

# L = E(0) starts with a 1 for some of these keys and with a 0 for others: both cases of K1
KEYS = [bytes(32), b"\xff" * 32, bytes(range(32)), bytes(range(100, 132))]


def cmac(key, message):
    return CMAC.new(key, message, ciphermod=AES).digest()


def derived(key, label, context):
    return SP800_108_Counter(key, 32, cmac, label=LABELS[label], context=context)


class KdfWithCipher(wiring.Component):
    """A Kdf that works under ``key``."""

    key: Signal
    mac: Signal
    label: Signal
    context: Signal
    message: Signal
    half: Signal

    def __init__(self, *, sboxes):
        self.aes = Aes(sboxes=sboxes)
        self.kdf = Kdf(lanes=self.aes.lanes)
        members = dict(self.kdf.signature.members)
        del members["cipher"]
        super().__init__({**members, "key": In(256)})
        self.names = list(members)

    def elaborate(self, platform):
        m = Module()
        m.submodules.aes = self.aes
        m.submodules.kdf = kdf = self.kdf
        connect(m, kdf.cipher, self.aes.user)
        m.d.comb += self.aes.key.eq(self.key)
        for name in self.names:
            inner, outer = getattr(kdf, name), getattr(self, name)
            into = self.signature.members[name].flow is In
            m.d.comb += inner.eq(outer) if into else outer.eq(inner)
        return m


async def run(ctx, dut):
    """Start; return the halves that were valid, the last one, and the cycles to ``done``."""
    ctx.set(dut.start, 1)
    await ctx.tick()
    ctx.set(dut.start, 0)
    halves = []
    half = b""
    cycles = 1
    while cycles < 200:
        half = ctx.get(dut.half).to_bytes(16, "little")
        if ctx.get(dut.valid):
            halves.append(half)
        if ctx.get(dut.done):
            break
        await ctx.tick()
        cycles += 1
    await ctx.tick()
    assert not ctx.get(dut.valid)
    assert not ctx.get(dut.done)
    return halves, half, cycles


@pytest.mark.parametrize("sboxes", [16, 32])
def test_keys_are_derived_in_constant_time(sboxes):
    dut = KdfWithCipher(sboxes=sboxes)
    context = bytes(range(200, 212))

    async def testbench(ctx):
        ctx.set(dut.context, int.from_bytes(context, "little"))
        ctx.set(dut.message, -1)
        for key in KEYS:
            ctx.set(dut.key, int.from_bytes(key, "little"))
            for label in KdfLabel:
                ctx.set(dut.label, label)
                halves, _, cycles = await run(ctx, dut)
                assert cycles == 5 * cipher_cycles(sboxes)
                expected = derived(key, label, context if label is KdfLabel.SAVE else CONTEXT)
                assert b"".join(halves) == expected

    pysim.simulate(dut, testbench)


@pytest.mark.parametrize("label", list(KdfLabel))
def test_macs_do_not_depend_on_the_label(label):
    dut = KdfWithCipher(sboxes=32)

    async def testbench(ctx):
        ctx.set(dut.label, label)
        for key, message in zip(KEYS, KEYS[1:] + KEYS[:1], strict=True):
            ctx.set(dut.key, int.from_bytes(key, "little"))
            ctx.set(dut.message, int.from_bytes(message, "little"))
            ctx.set(dut.mac, 1)
            halves, last, cycles = await run(ctx, dut)
            assert halves == []
            assert cycles == 3 * cipher_cycles(32)
            assert last == cmac(key, message)
            ctx.set(dut.mac, 0)  # and a key after it
            halves, _, _ = await run(ctx, dut)
            if label is not KdfLabel.SAVE:
                assert b"".join(halves) == derived(key, label, CONTEXT)

    pysim.simulate(dut, testbench)


def test_all_labels_take_the_same_place():
    assert {len(label) for label in LABELS.values()} == {11}
    assert len(set(LABELS.values())) == len(KdfLabel)
    assert len(CONTEXT) == 12
