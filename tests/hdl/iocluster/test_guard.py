# amaranth: UnusedElaboratable=no
"""The channel guard: its table, its verdicts, its counts, the interrupts."""

import random

import pytest

from blindvisor.hdl.config import MachineConfig
from blindvisor.hdl.iocluster import guard as guard_module
from blindvisor.hdl.iocluster.guard import ChannelGuard
from blindvisor.sim import pysim

CONFIG = MachineConfig(name="test", width=3, height=1, tty_channels=1, mailbox_channels=2)
SILENT = {"valid": 0, "channel": 0, "row": {"owner": 0, "guest": 0}}


def grant(channel, owner, guest=0):
    return {"valid": 1, "channel": channel, "row": {"owner": owner, "guest": guest}}


def request(channel, *, data=0, register=4, write=0):
    return {
        "valid": 1,
        "payload": {"channel": channel, "register": register, "write": write, "data": data},
    }


async def set_row(ctx, dut, channel, owner, guest=0):
    ctx.set(dut.update, grant(channel, owner, guest))
    await ctx.tick()
    ctx.set(dut.update, SILENT)


async def ask(ctx, dut, owner, asked):
    """Let a cluster of ``owner`` ask; return the answer and which devices saw an access."""
    ctx.set(dut.owner, owner)
    await ctx.tick()
    ctx.set(dut.root.request, asked)
    answer = ctx.get(dut.root.answer)
    touched = [n for n, device in enumerate(dut.channels) if ctx.get(device.access.valid)]
    await ctx.tick()
    ctx.set(dut.root.request, {"valid": 0})
    return answer, touched


def test_after_reset_nothing_is_served():
    dut = ChannelGuard(CONFIG)

    async def testbench(ctx):
        for device in dut.channels:
            ctx.set(device.answer, {"data": 0x5EC2E7, "error": 0})
            ctx.set(device.interrupt, 1)
        for owner in (0, 1, 255):
            for channel in range(16):
                answer, touched = await ask(ctx, dut, owner, request(channel))
                assert (answer.error, answer.data, touched) == (1, 0, [])
                assert ctx.get(dut.root.interrupts) == 0

    pysim.simulate(dut, testbench)


def test_only_the_owner_is_served_and_all_others_are_counted():
    """P8, P9, P10 against a table in Python, random updates between random requests."""
    dut = ChannelGuard(CONFIG)
    rng = random.Random(3)

    async def testbench(ctx):
        rows = [(0, 0)] * 3
        denied = [0] * 3
        for n, device in enumerate(dut.channels):
            ctx.set(device.answer, {"data": 0x100 + n, "error": 0})
        served = 0
        for _ in range(400):
            if rng.random() < 0.2:
                channel, owner, guest = rng.randrange(4), rng.randrange(3), rng.randrange(16)
                await set_row(ctx, dut, channel, owner, guest)
                if channel < 3:
                    rows[channel] = (owner, guest)
            owner, channel = rng.randrange(4), rng.randrange(5)
            answer, touched = await ask(ctx, dut, owner, request(channel))
            if channel < 3 and owner == rows[channel][0] != 0:
                served += 1
                assert (answer.error, answer.data, touched) == (0, 0x100 + channel, [channel])
            else:
                assert (answer.error, answer.data, touched) == (1, 0, [])
                if channel < 3:
                    denied[channel] += 1
            assert [(row.owner, row.guest) for row in ctx.get(dut.rows)] == rows
            assert list(ctx.get(dut.denied)) == denied
        assert served > 20

    pysim.simulate(dut, testbench)


def test_an_access_arrives_unchanged_and_an_error_of_the_device_goes_back():
    dut = ChannelGuard(CONFIG)

    async def testbench(ctx):
        await set_row(ctx, dut, 1, 7)
        ctx.set(dut.owner, 7)
        await ctx.tick()
        ctx.set(dut.root.request, request(1, data=0x89ABCDEF, register=8, write=1))
        ctx.set(dut.channels[1].answer, {"data": 0, "error": 1})
        access = ctx.get(dut.channels[1].access)
        assert (access.valid, access.write, access.register, access.data) == (1, 1, 8, 0x89ABCDEF)
        assert ctx.get(dut.root.answer.error) == 1
        await ctx.tick()
        assert list(ctx.get(dut.denied)) == [0, 0, 0]

    pysim.simulate(dut, testbench)


def test_every_update_clears_its_device_and_no_other():
    """P10: no new owner without a clear."""
    dut = ChannelGuard(CONFIG)

    async def testbench(ctx):
        for channel, owner in ((0, 1), (2, 1), (2, 0), (1, 3), (1, 3), (7, 1)):
            ctx.set(dut.update, grant(channel, owner))
            cleared = [n for n, device in enumerate(dut.channels) if ctx.get(device.clear)]
            assert cleared == ([channel] if channel < 3 else [])
            await ctx.tick()
        ctx.set(dut.update, {"valid": 0, "channel": 1})
        assert not any(ctx.get(device.clear) for device in dut.channels)

    pysim.simulate(dut, testbench)


def test_interrupts_go_to_the_owner_alone():
    """P11, over all owners of a cluster and all levels."""
    dut = ChannelGuard(CONFIG)

    async def testbench(ctx):
        owners = (2, 0, 1)
        for channel, owner in enumerate(owners):
            await set_row(ctx, dut, channel, owner)
        for asker in range(4):
            ctx.set(dut.owner, asker)
            await ctx.tick()
            for levels in range(8):
                for n, device in enumerate(dut.channels):
                    ctx.set(device.interrupt, levels >> n & 1)
                expected = sum(
                    (levels >> n & 1) << n for n, owner in enumerate(owners) if owner == asker != 0
                )
                assert ctx.get(dut.root.interrupts) == expected

    pysim.simulate(dut, testbench)


def test_the_owner_is_that_of_the_cluster_named_one_cycle_before():
    dut = ChannelGuard(CONFIG)

    async def testbench(ctx):
        await set_row(ctx, dut, 0, 5)
        table = [5, 6, 5]
        previous = None
        for cluster in (0, 1, 2, 1, 0):
            ctx.set(dut.root.cluster, cluster)
            assert ctx.get(dut.lookup) == cluster
            ctx.set(dut.owner, table[ctx.get(dut.lookup)])
            if previous is not None:
                ctx.set(dut.root.request, request(0))
                assert ctx.get(dut.root.answer.error) == (table[previous] != 5)
            previous = cluster
            await ctx.tick()

    pysim.simulate(dut, testbench)


def test_the_count_of_denials_stops_at_its_largest_value(monkeypatch):
    monkeypatch.setattr(guard_module, "DENIED_WIDTH", 3)
    dut = ChannelGuard(CONFIG)

    async def testbench(ctx):
        for count in range(10):
            assert list(ctx.get(dut.denied)) == [0, min(count, 7), 0]
            await ask(ctx, dut, 1, request(1))

    pysim.simulate(dut, testbench)


@pytest.mark.parametrize(("ttys", "mailboxes"), [(16, 0), (0, 1)])
def test_largest_and_smallest_number_of_channels(ttys, mailboxes):
    dut = ChannelGuard(
        MachineConfig(name="edge", width=1, height=1, tty_channels=ttys, mailbox_channels=mailboxes)
    )
    last = ttys + mailboxes - 1

    async def testbench(ctx):
        await set_row(ctx, dut, last, 255)
        _, touched = await ask(ctx, dut, 255, request(last))
        assert touched == [last]

    pysim.simulate(dut, testbench)
