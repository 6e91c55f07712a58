# amaranth: UnusedElaboratable=no
"""The attestation channel against a model, with a stand-in for the loader."""

import random

import pytest

from blindvisor.hdl.abi import REPORT_WORDS, ChannelKind, ChannelRegister
from blindvisor.hdl.iocluster.attest import NONCE_WORDS, AttestChannel
from blindvisor.sim import pysim

STATUS, DATA, ENABLE = (
    ChannelRegister.STATUS.value,
    ChannelRegister.DATA.value,
    ChannelRegister.ENABLE.value,
)


class Model:
    """The channel as its owner and the loader see it."""

    def __init__(self):
        self.clear()

    def clear(self):
        self.nonce, self.made, self.enable = [], [], 0
        self.reading = False

    @property
    def wanted(self):
        return len(self.nonce) == NONCE_WORDS and not self.reading

    def status(self):
        return self.reading | (len(self.nonce) < NONCE_WORDS) << 1

    def answer(self, register, write):
        """Return (error, data) and what to do at the end of the cycle."""

        def nothing():
            pass

        def take():
            self.made.pop(0)
            if not self.made:
                self.nonce, self.reading = [], False

        def set_enable():
            self.enable = write & 3

        if register == STATUS and write is None:
            return (0, self.status() | ChannelKind.ATTEST.value << 8), nothing
        if register == DATA and write is None and self.reading:
            return (0, self.made[0]), take
        if register == DATA and write is not None and len(self.nonce) < NONCE_WORDS:
            return (0, 0), lambda: self.nonce.append(write)
        if register == ENABLE:
            return ((0, self.enable), nothing) if write is None else ((0, 0), set_enable)
        return (1, 0), nothing

    def word(self, word):
        self.made.append(word)
        self.reading = len(self.made) == REPORT_WORDS


@pytest.mark.parametrize("seed", range(3))
def test_the_channel_follows_the_model(seed):
    rng = random.Random(seed)
    dut = AttestChannel()
    model = Model()
    reports = cleared = refused = 0

    async def testbench(ctx):
        nonlocal reports, cleared, refused
        for phase in range(8):
            writes = rng.choice([0.2, 0.5, 0.8])
            busy = rng.choice([0.1, 0.5, 1.0])
            for _ in range(200):
                assert ctx.get(dut.guest.interrupt) == bool(model.enable & model.status())
                register = rng.choice([None, DATA, DATA, DATA, STATUS, ENABLE, 1, 12])
                write = rng.getrandbits(32) if rng.random() < writes else None
                fields = {
                    "valid": register is not None,
                    "write": write is not None,
                    "register": register or 0,
                    "data": write or 0,
                }
                ctx.set(dut.guest.access, fields)
                vm = rng.getrandbits(8)
                ctx.set(dut.vm, vm)
                expected, effect = (0, 0), lambda: None
                if register is not None:
                    expected, effect = model.answer(register, write)
                answer = ctx.get(dut.guest.answer)
                assert (answer.error, answer.data) == expected
                refused += expected[0]

                assert ctx.get(dut.report.valid) == model.wanted
                assert ctx.get(dut.report.vm) == vm
                if model.wanted:
                    nonce = sum(word << 32 * n for n, word in enumerate(model.nonce))
                    assert ctx.get(dut.report.nonce) == nonce
                word = rng.getrandbits(32)
                given = model.wanted and rng.random() < busy
                ctx.set(dut.report.words.valid, given)
                ctx.set(dut.report.words.payload, word)
                assert ctx.get(dut.report.words.ready) == model.wanted
                clear = rng.random() < 0.01 * (phase % 2)
                ctx.set(dut.guest.clear, clear)
                assert ctx.get(dut.report.cancel) == clear
                await ctx.tick()
                effect()
                if given:
                    model.word(word)
                    reports += model.reading
                if clear:
                    model.clear()
                    cleared += 1
                    assert ctx.get(dut.report.nonce) == 0

    pysim.simulate(dut, testbench)
    assert reports >= 3
    assert cleared >= 3
    assert refused > 50


def test_a_new_owner_reads_nothing_of_the_last_ones_report():
    """P10: a clear in each state; then the words are those of the new report alone."""
    dut = AttestChannel()

    async def access(ctx, write=None):
        fields = {"valid": 1, "write": write is not None, "register": DATA, "data": write or 0}
        ctx.set(dut.guest.access, fields)
        answer = ctx.get(dut.guest.answer)
        await ctx.tick()
        ctx.set(dut.guest.access, {"valid": 0})
        return answer.error, answer.data

    async def testbench(ctx):
        for steps in (3, NONCE_WORDS, NONCE_WORDS + 20, NONCE_WORDS + REPORT_WORDS + 5):
            for owner, last in ((0xAAAA, steps), (0x5555, NONCE_WORDS + 2 * REPORT_WORDS)):
                seen = []
                for step in range(last):
                    if step < NONCE_WORDS:
                        assert await access(ctx, owner << 16 | step) == (0, 0)
                    elif step < NONCE_WORDS + REPORT_WORDS:
                        assert (await access(ctx))[0] == 1  # not before all is there
                        ctx.set(dut.report.words.valid, 1)
                        ctx.set(dut.report.words.payload, owner << 16 | step)
                        await ctx.tick()
                        ctx.set(dut.report.words.valid, 0)
                    else:
                        seen.append(await access(ctx))
                if last > steps:
                    assert seen == [(0, owner << 16 | NONCE_WORDS + n) for n in range(REPORT_WORDS)]
                    assert await access(ctx) == (1, 0)
                ctx.set(dut.guest.clear, 1)
                await ctx.tick()
                ctx.set(dut.guest.clear, 0)
                assert not ctx.get(dut.report.valid)
                assert ctx.get(dut.report.nonce) == 0

    pysim.simulate(dut, testbench)
