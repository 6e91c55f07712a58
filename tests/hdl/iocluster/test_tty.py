# amaranth: UnusedElaboratable=no
"""The TTY channel against two Python queues, register by register."""

import random
from collections import deque

import pytest

from blindvisor.hdl.abi import ChannelKind, ChannelRegister
from blindvisor.hdl.config import MachineConfig
from blindvisor.hdl.iocluster.tty import TtyChannel
from blindvisor.sim import pysim

STATUS, DATA, ENABLE = (
    ChannelRegister.STATUS.value,
    ChannelRegister.DATA.value,
    ChannelRegister.ENABLE.value,
)


def config(depth):
    return MachineConfig(name="test", width=1, height=1, channel_depth=depth)


async def access(ctx, port, register, write=None):
    """One access; return (error, data)."""
    ctx.set(
        port.access,
        {"valid": 1, "write": write is not None, "register": register, "data": write or 0},
    )
    answer = ctx.get(port.answer)
    await ctx.tick()
    ctx.set(port.access, {"valid": 0})
    return answer.error, answer.data


@pytest.mark.parametrize("depth", [2, 16])
def test_registers_and_bytes_follow_the_model(depth):
    rng = random.Random(depth)
    dut = TtyChannel(config(depth))
    printed, typed = deque(), deque()
    enable = 0
    full_seen = empty_seen = cleared = 0

    async def step(ctx, *, moves_out, moves_in, clear, register, write):
        """One cycle with everything at once; compare all that shows."""
        nonlocal enable, full_seen, empty_seen, cleared
        byte = rng.randrange(256)
        ctx.set(dut.out.ready, moves_out)
        ctx.set(dut.input.valid, moves_in)
        ctx.set(dut.input.payload, byte)
        ctx.set(dut.guest.clear, clear)
        if register is None:
            ctx.set(dut.guest.access, {"valid": 0, "register": DATA})
        else:
            ctx.set(
                dut.guest.access,
                {
                    "valid": 1,
                    "write": write is not None,
                    "register": register,
                    "data": write or 0,
                },
            )
        readable, writable = int(bool(typed)), int(len(printed) < depth)

        assert ctx.get(dut.guest.interrupt) == bool(enable & (readable | writable << 1))
        assert ctx.get(dut.input.ready) == (len(typed) < depth)
        assert ctx.get(dut.out.valid) == bool(printed)
        if printed:
            assert ctx.get(dut.out.payload) == printed[0]
        error, data = 1, 0
        taken = put = False
        if register == STATUS and write is None:
            error, data = 0, readable | writable << 1 | ChannelKind.TTY.value << 8
        elif register == DATA and write is None and readable:
            error, data, taken = 0, typed[0], True
        elif register == DATA and write is not None and writable:
            error, put = 0, True
        elif register == ENABLE:
            error, data = 0, enable if write is None else 0
        elif register is None:
            error = 0
        answer = ctx.get(dut.guest.answer)
        assert (answer.error, answer.data) == (error, data)
        full_seen += not writable
        empty_seen += register == DATA and write is None and not readable

        room = len(typed) < depth
        if moves_out and printed:
            printed.popleft()
        if taken:
            typed.popleft()
        if put:
            assert write is not None
            printed.append(write & 0xFF)
        if moves_in and room:
            typed.append(byte)
        if register == ENABLE and write is not None:
            enable = write & 3
        if clear:
            printed.clear()
            typed.clear()
            enable = 0
            cleared += 1
        await ctx.tick()

    async def testbench(ctx):
        for phase in range(12):
            drains = rng.choice([0.1, 0.9])  # so that both ends meet full and empty
            for _ in range(100):
                reads = rng.random() < drains
                await step(
                    ctx,
                    moves_out=rng.random() < drains,
                    moves_in=rng.random() < 1 - drains,
                    clear=rng.random() < 0.01 * (phase % 2),
                    register=rng.choice(
                        [None, DATA, DATA, DATA, STATUS, ENABLE, rng.randrange(16)]
                    ),
                    write=None if reads else rng.getrandbits(32),
                )

    pysim.simulate(dut, testbench)
    assert full_seen > 5
    assert empty_seen > 5
    assert cleared > 2


def test_a_clear_drops_both_directions_and_the_enable_bits():
    """P10, step by step."""
    dut = TtyChannel(config(4))

    async def testbench(ctx):
        ctx.set(dut.input.valid, 1)
        await ctx.tick().repeat(6)
        ctx.set(dut.input.valid, 0)
        assert await access(ctx, dut.guest, DATA, 0x41) == (0, 0)
        assert await access(ctx, dut.guest, ENABLE, 3) == (0, 0)
        assert ctx.get(dut.guest.interrupt) == 1
        ctx.set(dut.guest.clear, 1)
        await ctx.tick()
        ctx.set(dut.guest.clear, 0)
        assert ctx.get(dut.guest.interrupt) == 0
        assert ctx.get(dut.out.valid) == 0
        assert await access(ctx, dut.guest, ENABLE) == (0, 0)
        assert await access(ctx, dut.guest, STATUS) == (0, 2)
        assert await access(ctx, dut.guest, DATA) == (1, 0)

    pysim.simulate(dut, testbench)


def test_a_clear_wins_over_an_access_in_the_same_cycle():
    dut = TtyChannel(config(4))

    async def testbench(ctx):
        for register, value in ((DATA, 0x41), (ENABLE, 3)):
            ctx.set(dut.guest.clear, 1)
            await access(ctx, dut.guest, register, value)
            ctx.set(dut.guest.clear, 0)
        assert ctx.get(dut.out.valid) == 0
        assert await access(ctx, dut.guest, ENABLE) == (0, 0)

    pysim.simulate(dut, testbench)
