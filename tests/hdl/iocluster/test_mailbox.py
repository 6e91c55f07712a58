# amaranth: UnusedElaboratable=no
"""The mailbox channel against two Python queues, from both ends at once."""

import random
from collections import deque

import pytest

from blindvisor.hdl.abi import ChannelKind, ChannelRegister
from blindvisor.hdl.config import MachineConfig
from blindvisor.hdl.iocluster.channel import ChannelEnd
from blindvisor.hdl.iocluster.mailbox import MailboxChannel
from blindvisor.sim import pysim

STATUS, DATA, ENABLE = (
    ChannelRegister.STATUS.value,
    ChannelRegister.DATA.value,
    ChannelRegister.ENABLE.value,
)


class End:
    """What one end should answer: ``arriving`` and ``leaving`` are queues of the other end too."""

    def __init__(self, depth, arriving, leaving, kind):
        self.depth, self.arriving, self.leaving, self.kind = depth, arriving, leaving, kind
        self.enable = 0

    def status(self):
        return bool(self.arriving) | (len(self.leaving) < self.depth) << 1

    def answer(self, register, write):
        """Return (error, data) and what to do at the end of the cycle."""

        def nothing():
            pass

        def set_enable():
            self.enable = write & 3

        if register == STATUS and write is None:
            return (0, self.status() | (self.kind or 0) << 8), nothing
        if register == DATA and write is None and self.arriving:
            return (0, self.arriving[0]), self.arriving.popleft
        if register == DATA and write is not None and len(self.leaving) < self.depth:
            return (0, 0), lambda: self.leaving.append(write)
        if register == ENABLE and self.kind is not None:
            return ((0, self.enable), nothing) if write is None else ((0, 0), set_enable)
        return (1, 0), nothing


@pytest.mark.parametrize("depth", [2, 16])
def test_both_ends_follow_the_model(depth):
    rng = random.Random(depth)
    dut = MailboxChannel(MachineConfig(name="test", width=1, height=1, channel_depth=depth))
    to_guest, to_hypervisor = deque(), deque()
    guest = End(depth, to_guest, to_hypervisor, ChannelKind.MAILBOX.value)
    hypervisor = End(depth, to_hypervisor, to_guest, None)
    passed = 0
    refused = 0

    async def testbench(ctx):
        nonlocal passed, refused
        for phase in range(16):
            writes = {end: rng.choice([0.1, 0.9]) for end in (guest, hypervisor)}
            for _ in range(80):
                assert ctx.get(dut.guest.interrupt) == bool(guest.enable & guest.status())
                effects = []
                for end, port in ((guest, dut.guest), (hypervisor, dut.hypervisor)):
                    register = rng.choice([None, DATA, DATA, DATA, STATUS, ENABLE, 1, 12])
                    write = rng.getrandbits(32) if rng.random() < writes[end] else None
                    ctx.set(
                        port.access,
                        {
                            "valid": register is not None,
                            "write": write is not None,
                            "register": register or 0,
                            "data": write or 0,
                        },
                    )
                    expected, effect = ((0, 0), lambda: None)
                    if register is not None:
                        expected, effect = end.answer(register, write)
                    answer = ctx.get(port.answer)
                    assert (answer.error, answer.data) == expected
                    passed += register == DATA and write is None and not expected[0]
                    refused += expected[0]
                    effects.append(effect)
                clear = rng.random() < 0.02 * (phase % 2)
                ctx.set(dut.guest.clear, clear)
                await ctx.tick()
                for effect in effects:
                    effect()
                if clear:
                    to_guest.clear()
                    to_hypervisor.clear()
                    guest.enable = 0

    pysim.simulate(dut, testbench)
    assert passed > 50
    assert refused > 50


def test_the_hypervisor_cannot_raise_an_interrupt_that_is_not_enabled():
    """P11."""
    dut = MailboxChannel(MachineConfig(name="test", width=1, height=1, channel_depth=4))

    async def testbench(ctx):
        for register in range(16):
            ctx.set(
                dut.hypervisor.access, {"valid": 1, "write": 1, "register": register, "data": ~0}
            )
            await ctx.tick()
            assert ctx.get(dut.guest.interrupt) == 0

    pysim.simulate(dut, testbench)


@pytest.mark.parametrize("width", [0, 33])
def test_wrong_width_is_refused(width):
    with pytest.raises(ValueError, match=f"^Width must be from 1 to 32, not {width}$"):
        ChannelEnd(width=width, kind=None)
