# amaranth: UnusedElaboratable=no
"""The reader of clusters' memories."""

import random

import pytest

from blindvisor.hdl.config import MachineConfig
from blindvisor.hdl.ionet.flits import LaneOp
from blindvisor.hdl.loader.reader import ClusterReader
from blindvisor.sim import pysim

CONFIG = MachineConfig(name="test", width=5, height=3, memory_bytes=1024)
LATENCY = 7
WORDS = CONFIG.memory_words


def word_of(cluster, place):
    return (cluster << 16 | place) * 0x9E3779B1 & 0xFFFF_FFFF


def run(*, x, y, width, blocks, pause=0.0, refuse=None, stop_after=None):
    """Take so many blocks; return these, the commands and the number of refusals."""
    dut = ClusterReader(CONFIG)
    rng = random.Random(blocks)
    taken, commands, due, refusals = [], [], [], 0
    address = {}

    async def testbench(ctx):
        nonlocal refusals
        ctx.set(dut.x, x)
        ctx.set(dut.y, y)
        ctx.set(dut.width, width)
        ctx.set(dut.begin, 1)
        await ctx.tick()
        ctx.set(dut.begin, 0)
        ctx.set(dut.lane.reply_valid, 1)  # somebody else's
        await ctx.tick()
        for cycle in range(20_000):
            stopped = stop_after is not None and len(commands) >= stop_after
            ctx.set(dut.enable, len(taken) < blocks and not stopped)
            ctx.set(dut.lane.command.ready, cycle % 2 and rng.random() >= pause)
            ctx.set(dut.blocks.ready, rng.random() >= pause)
            replying = bool(due) and due[0][0] <= cycle
            reply = due.pop(0)[1] if replying else {}
            ctx.set(dut.lane.reply_valid, replying)
            ctx.set(dut.lane.reply, reply)
            refusals += ctx.get(dut.refused)
            if ctx.get(dut.blocks.valid):
                if ctx.get(dut.blocks.ready):
                    taken.append(ctx.get(dut.blocks.payload))
                    ctx.set(dut.enable, len(taken) < blocks and not stopped)
            else:
                assert ctx.get(dut.blocks.payload) == 0
            if ctx.get(dut.lane.command.valid) and ctx.get(dut.lane.command.ready):
                command = ctx.get(dut.lane.command.payload)
                assert command.named
                assert command.data == 0
                op, cluster = command.op, command.cluster
                ok, word = len(commands) != refuse, 0
                if op is LaneOp.ADDRESS:
                    address[cluster] = 0
                elif ok:
                    word = word_of(cluster, address[cluster])
                    address[cluster] += 1
                due.append((cycle + LATENCY, {"ok": ok, "data": word}))
                commands.append((op, cluster))
            await ctx.tick()
            if ctx.get(dut.idle) and not due and (len(taken) == blocks or stopped):
                return
        raise AssertionError("never idle")

    pysim.simulate(dut, testbench, deadline=30_000)
    return taken, commands, refusals


@pytest.mark.parametrize("pause", [0.0, 0.5])
@pytest.mark.parametrize(
    ("x", "y", "width", "clusters"), [(0, 0, 1, 1), (4, 2, 1, 1), (3, 1, 2, 3), (0, 0, 5, 2)]
)
def test_clusters_are_read_row_by_row(x, y, width, clusters, pause):
    indices = [(y + n // width) * CONFIG.width + x + n % width for n in range(clusters)]
    blocks = clusters * WORDS // 4 if clusters < 3 else 2 * WORDS // 4 + 1
    taken, commands, refusals = run(x=x, y=y, width=width, blocks=blocks, pause=pause)
    words = [word_of(cluster, n) for cluster in indices for n in range(WORDS)][: 4 * blocks]
    assert taken == [
        sum(word << 32 * n for n, word in enumerate(words[place : place + 4]))
        for place in range(0, len(words), 4)
    ]
    expected = [
        command
        for cluster in indices
        for command in [(LaneOp.ADDRESS, cluster)] + [(LaneOp.READ, cluster)] * WORDS
    ]
    assert commands == expected[: len(commands)]
    assert not refusals


@pytest.mark.parametrize("refuse", [0, 1, 4])
def test_each_refusal_is_told(refuse):
    _, _, refusals = run(x=1, y=1, width=1, blocks=1, refuse=refuse)
    assert refusals == 1


@pytest.mark.parametrize("after", [1, 2, 4, 5])
def test_nothing_follows_when_no_block_is_wanted(after):
    _, commands, _ = run(x=1, y=1, width=1, blocks=3, stop_after=after)
    # one command may be on offer already
    assert after <= len(commands) <= after + 1
