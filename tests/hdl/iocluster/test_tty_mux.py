# amaranth: UnusedElaboratable=no
"""The multiplexer between the TTY channels and the one terminal."""

import random

import pytest

from blindvisor.hdl.config import MachineConfig
from blindvisor.hdl.iocluster.tty_mux import TtyMux
from blindvisor.sim import pysim


def mux(ttys):
    return TtyMux(
        MachineConfig(
            name="test", width=1, height=1, tty_channels=ttys, mailbox_channels=int(ttys == 0)
        )
    )


@pytest.mark.parametrize("ttys", [1, 3, 16])
@pytest.mark.parametrize("longest_pause", [0, 3], ids=["eager-reader", "slow-reader"])
def test_every_printed_byte_comes_out_once_and_in_its_channels_order(ttys, longest_pause):
    rng = random.Random(ttys)
    dut = mux(ttys)
    texts = [[rng.randrange(256) for _ in range(rng.randrange(1, 12))] for _ in range(ttys)]
    seen = []
    pysim.simulate(
        dut,
        *(pysim.offer(port, text) for port, text in zip(dut.printed, texts, strict=True)),
        pysim.collect(
            dut.tty_out,
            seen,
            count=sum(map(len, texts)),
            pause=lambda: rng.randint(0, longest_pause),
        ),
    )
    by_channel = [[item.byte for item in seen if item.channel == n] for n in range(ttys)]
    assert by_channel == texts


def test_channels_take_turns():
    dut = mux(3)
    seen = []
    pysim.simulate(
        dut,
        pysim.offer(dut.printed[0], range(6)),
        pysim.offer(dut.printed[2], range(6)),
        pysim.collect(dut.tty_out, seen, count=12),
    )
    assert [item.channel for item in seen] == [2, 0] * 6


def test_an_offer_may_be_withdrawn():
    """A clear takes a byte back before its turn; nothing of it may come out."""
    dut = mux(2)
    seen = []

    async def testbench(ctx):
        ctx.set(dut.printed[0].valid, 1)
        ctx.set(dut.printed[0].payload, 0x30)
        await ctx.tick()  # the terminal is not ready: the first byte waits in the multiplexer
        ctx.set(dut.printed[0].valid, 0)
        ctx.set(dut.printed[1].valid, 1)
        ctx.set(dut.printed[1].payload, 0x31)
        await ctx.tick().repeat(3)
        assert ctx.get(dut.printed[1].ready) == 0
        ctx.set(dut.printed[1].valid, 0)
        ctx.set(dut.tty_out.ready, 1)
        for _ in range(6):
            if ctx.get(dut.tty_out.valid):
                seen.append(ctx.get(dut.tty_out.payload.byte))
            await ctx.tick()

    pysim.simulate(dut, testbench)
    assert seen == [0x30]


@pytest.mark.parametrize("ttys", [0, 1, 3])
def test_typed_bytes_reach_their_channel_and_never_wait(ttys):
    dut = mux(ttys)

    async def testbench(ctx):
        for channel in range(16):
            ctx.set(dut.tty_in.valid, 1)
            ctx.set(dut.tty_in.payload, {"byte": 0x40 + channel, "channel": channel})
            assert ctx.get(dut.tty_in.ready) == 1  # although no channel is ready
            offered = [n for n, port in enumerate(dut.typed) if ctx.get(port.valid)]
            assert offered == ([channel] if channel < ttys else [])
            for n in offered:
                assert ctx.get(dut.typed[n].payload) == 0x40 + channel
            await ctx.tick()

    pysim.simulate(dut, testbench)
