# amaranth: UnusedElaboratable=no
"""Reports in gateware against a report made step by step from docs/image.md."""

import hashlib
import random
from typing import Any

import pytest
from amaranth import Cat, Module, ResetInserter, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped
from Crypto.Cipher import AES
from Crypto.Hash import CMAC
from Crypto.Protocol.KDF import SP800_108_Counter

from blindvisor.hdl.abi import REPORT_WORDS, ChannelRegister
from blindvisor.hdl.config import MachineConfig
from blindvisor.hdl.iocluster.attest import AttestChannel
from blindvisor.hdl.iocluster.channel import ChannelPort
from blindvisor.hdl.loader.aes import Aes
from blindvisor.hdl.loader.kdf import Kdf
from blindvisor.hdl.loader.records import RecordBlock, SlotRecords
from blindvisor.hdl.loader.report import Reporter, ReportPort
from blindvisor.hdl.loader.sha256 import Sha256
from blindvisor.sim import pysim

CONFIG = MachineConfig(name="test", width=1, height=1, vms=3)
ROOT_KEY = bytes(range(50, 82))


class IdleLoader(wiring.Component):
    """A reporter among the parts of a loader that does nothing else."""

    port: Any
    begin: Signal
    busy: Signal
    secrets_left: Signal

    def __init__(self):
        self.records = SlotRecords(CONFIG)
        super().__init__(
            {"port": In(ReportPort()), "begin": In(1), "busy": Out(1), "secrets_left": Out(1)}
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.records = records = self.records
        m.submodules.reporter = reporter = Reporter()
        parts = Module()
        parts.submodules.aes = aes = Aes(sboxes=32)
        parts.submodules.kdf = kdf = Kdf(lanes=aes.lanes)
        sha256: Any = Sha256()  # type checkers do not know what it elaborates to
        parts.submodules.sha256 = sha256
        key = Signal(256)
        connect(parts, kdf.cipher, aes.user)
        with parts.If(reporter.key_root):
            parts.d.sync += key.eq(int.from_bytes(ROOT_KEY, "little"))
        first_half = Signal(128)  # the second is still derived from the root key
        with parts.If(reporter.key_derived & kdf.valid):
            parts.d.sync += first_half.eq(kdf.half)
            with parts.If(kdf.done):
                parts.d.sync += key.eq(Cat(first_half, kdf.half))
        parts.d.comb += [
            aes.key.eq(key),
            kdf.start.eq(reporter.kdf_start),
            kdf.mac.eq(reporter.kdf_mac),
            kdf.label.eq(reporter.kdf_label),
            kdf.message.eq(sha256.digest),
            sha256.finish.eq(reporter.hash_finish),
        ]
        m.submodules.parts = ResetInserter(reporter.finished)(parts)
        connect(m, flipped(self.port), reporter.port)
        connect(m, reporter.hash, sha256.sink)
        m.d.comb += [
            reporter.begin.eq(self.begin),
            self.busy.eq(reporter.busy),
            reporter.kdf_valid.eq(kdf.valid),
            reporter.kdf_half.eq(kdf.half),
            reporter.kdf_done.eq(kdf.done),
            reporter.hash_done.eq(sha256.done),
            reporter.record.eq(records.read_data),
            records.read_vm.eq(self.port.vm),
            records.read_block.eq(reporter.record_block),
            self.secrets_left.eq(Cat(key, first_half, aes.user.results).any()),
        ]
        return m


class Record:
    """Random contents of a slot's record."""

    def __init__(self, rng):
        self.identity = rng.randbytes(16)
        self.measurement = rng.randbytes(32)
        self.cluster_bytes, self.version, self.generation = (rng.getrandbits(32) for _ in range(3))
        self.flags, self.width, self.height = rng.getrandbits(3), rng.randint(1, 16), 16

    def blocks(self):
        attributes = b"".join(
            value.to_bytes(size, "little")
            for value, size in (
                (self.cluster_bytes, 4),
                (self.version, 4),
                (self.generation, 4),
                (self.flags, 2),
                (self.width, 1),
                (self.height, 1),
            )
        )
        return {
            RecordBlock.IDENTITY: self.identity,
            RecordBlock.ATTRIBUTES: attributes,
            RecordBlock.MEASUREMENT_LOW: self.measurement[:16],
            RecordBlock.MEASUREMENT_HIGH: self.measurement[16:],
        }


def cmac(key, message):
    return CMAC.new(key, message, ciphermod=AES).digest()


def derive(label):
    return SP800_108_Counter(ROOT_KEY, 32, cmac, label=label, context=b"blindvisor 1")


def report(record, nonce):
    """The table of docs/image.md."""
    signed = b"".join(
        (
            b"BVREPORT",
            (1).to_bytes(2, "little"),
            record.flags.to_bytes(2, "little"),
            bytes([record.width, record.height, 0, 0]),
            record.cluster_bytes.to_bytes(4, "little"),
            record.version.to_bytes(4, "little"),
            record.generation.to_bytes(4, "little"),
            bytes(4),
            record.identity,
            derive(b"bv-machine-")[:16],
            record.measurement,
            nonce,
        )
    )
    assert len(signed) == 128
    return signed + cmac(derive(b"bv-attest-k"), hashlib.sha256(signed).digest())


async def fill(ctx, dut, records):
    for vm, record in records.items():
        for block, value in record.blocks().items():
            given = {"valid": 1, "vm": vm, "block": block, "data": int.from_bytes(value, "little")}
            ctx.set(dut.records.write, given)
            await ctx.tick()
    ctx.set(dut.records.write, {"valid": 0})


async def ask(ctx, dut, vm, nonce, pause=lambda: 0):
    """Ask; return the report, and the cycles it took."""
    ctx.set(dut.port.valid, 1)
    ctx.set(dut.port.vm, vm)
    ctx.set(dut.port.nonce, int.from_bytes(nonce, "little"))
    words = []
    cycles = waiting = 0
    while len(words) < REPORT_WORDS:
        assert cycles < 3000
        ctx.set(dut.port.words.ready, waiting == 0)
        if waiting:
            waiting -= 1
        elif ctx.get(dut.port.words.valid):
            words.append(ctx.get(dut.port.words.payload).to_bytes(4, "little"))
            waiting = pause()
        await ctx.tick()
        cycles += 1
    ctx.set(dut.port.valid, 0)
    ctx.set(dut.port.words.ready, 1)
    assert not ctx.get(dut.busy)
    return b"".join(words), cycles


def test_reports_are_those_of_the_slot_and_the_nonce():
    rng = random.Random(1)
    dut = IdleLoader()
    records = {vm: Record(rng) for vm in range(1, CONFIG.vms + 1)}
    times = set()

    async def testbench(ctx):
        await fill(ctx, dut, records)
        ctx.set(dut.begin, 1)
        for vm in (2, 1, 3, 2):
            nonce = rng.randbytes(32)
            made, cycles = await ask(ctx, dut, vm, nonce)
            assert made == report(records[vm], nonce)
            assert not ctx.get(dut.secrets_left)
            times.add(cycles)
            await ctx.tick().repeat(20)
            assert not ctx.get(dut.busy)  # nobody asks
        made, _ = await ask(ctx, dut, 1, nonce, lambda: rng.randint(0, 30))
        assert made == report(records[1], nonce)

    pysim.simulate(dut, testbench)
    assert len(times) == 1  # P7
    assert times.pop() < 400


def test_a_report_waits_for_the_loader():
    rng = random.Random(2)
    dut = IdleLoader()
    records = {1: Record(rng)}

    async def testbench(ctx):
        await fill(ctx, dut, records)
        ctx.set(dut.port.valid, 1)
        for _ in range(20):
            await ctx.tick()
            assert not ctx.get(dut.busy)
        ctx.set(dut.begin, 1)
        await ctx.tick()
        assert ctx.get(dut.busy)
        ctx.set(dut.begin, 0)  # counts before a report alone
        made, _ = await ask(ctx, dut, 1, bytes(32))
        assert made == report(records[1], bytes(32))

    pysim.simulate(dut, testbench)


@pytest.mark.parametrize("offset", range(4))
def test_cancel_ends_a_report_at_once_and_leaves_nothing(offset):
    rng = random.Random(offset)
    dut = IdleLoader()
    records = {vm: Record(rng) for vm in (1, 2)}

    async def testbench(ctx):
        await fill(ctx, dut, records)
        ctx.set(dut.begin, 1)
        ctx.set(dut.port.words.ready, 1)
        for cycles in range(9 * offset + 1, 420, 36):
            ctx.set(dut.port.valid, 1)
            ctx.set(dut.port.vm, 1)
            ctx.set(dut.port.nonce, rng.getrandbits(256))
            await ctx.tick().repeat(cycles)
            ctx.set(dut.port.cancel, 1)
            assert not ctx.get(dut.port.words.valid)
            await ctx.tick()
            ctx.set(dut.port.cancel, 0)
            ctx.set(dut.port.valid, 0)
            assert not ctx.get(dut.busy)
            assert not ctx.get(dut.secrets_left)
            await ctx.tick()
            assert not ctx.get(dut.port.words.valid)
            if cycles % 4 == 1:
                nonce = rng.randbytes(32)
                made, _ = await ask(ctx, dut, 2, nonce)
                assert made == report(records[2], nonce)

    pysim.simulate(dut, testbench, deadline=20_000)


class WithChannel(wiring.Component):
    """The same behind an attestation channel."""

    guest: Any
    vm: Signal
    begin: Signal

    def __init__(self):
        self.loader = IdleLoader()
        self.records = self.loader.records
        super().__init__({"guest": Out(ChannelPort()), "vm": In(8), "begin": In(1)})

    def elaborate(self, platform):
        m = Module()
        channel: Any = AttestChannel()
        m.submodules.channel = channel
        m.submodules.loader = loader = self.loader
        connect(m, flipped(self.guest), channel.guest)
        connect(m, channel.report, loader.port)
        m.d.comb += [channel.vm.eq(self.vm), loader.begin.eq(self.begin)]
        return m


def test_a_guest_gets_its_report_through_the_channel():
    rng = random.Random(3)
    dut = WithChannel()
    records = {vm: Record(rng) for vm in (1, 2, 3)}

    async def access(ctx, register, word=None) -> Any:
        fields = {"valid": 1, "write": word is not None, "register": register, "data": word or 0}
        ctx.set(dut.guest.access, fields)
        answer = ctx.get(dut.guest.answer)
        await ctx.tick()
        ctx.set(dut.guest.access, {"valid": 0})
        return None if answer.error else answer.data

    async def attested(ctx, nonce, register=ChannelRegister.DATA.value):
        for place in range(0, 32, 4):
            word = int.from_bytes(nonce[place : place + 4], "little")
            assert await access(ctx, register, word) is not None
        polls = 0
        while not await access(ctx, ChannelRegister.STATUS.value) & 1:
            polls += 1
            assert polls < 500
        words = [await access(ctx, register) for _ in range(REPORT_WORDS)]
        assert await access(ctx, register) is None
        return b"".join(word.to_bytes(4, "little") for word in words)

    async def testbench(ctx):
        await fill(ctx, dut, records)
        ctx.set(dut.begin, 1)
        for vm in (1, 3, 3):
            ctx.set(dut.vm, vm)
            nonce = rng.randbytes(32)
            assert await attested(ctx, nonce) == report(records[vm], nonce)
        # The owner changes while its report is made.
        for n in range(8):
            assert await access(ctx, ChannelRegister.DATA.value, n) is not None
        await ctx.tick().repeat(150)
        ctx.set(dut.guest.clear, 1)
        await ctx.tick()
        ctx.set(dut.guest.clear, 0)
        ctx.set(dut.vm, 2)
        nonce = rng.randbytes(32)
        assert await attested(ctx, nonce) == report(records[2], nonce)

    pysim.simulate(dut, testbench)
