# amaranth: UnusedElaboratable=no
"""Blocks on their way into clusters."""

import random

import pytest

from blindvisor.hdl.config import MachineConfig
from blindvisor.hdl.ionet.flits import LaneOp
from blindvisor.hdl.loader.loader import Loader
from blindvisor.hdl.loader.writer import ClusterWriter
from blindvisor.sim import pysim

CONFIG = MachineConfig(name="test", width=5, height=3, memory_bytes=1024)
LATENCY = 6


def run(blocks, *, x=0, y=0, width=1, size=16, pause=0.0, refuse=None, stop_after=None):
    """Return commands as (op, cluster, data), the cycles they were taken in, refusals."""
    rng = random.Random(0)
    dut = ClusterWriter(CONFIG)
    commands, cycles, refusals = [], [], []

    async def testbench(ctx):
        ctx.set(dut.x, x)
        ctx.set(dut.y, y)
        ctx.set(dut.width, width)
        ctx.set(dut.cluster_bytes, size)
        ctx.set(dut.begin, 1)
        await ctx.tick()
        ctx.set(dut.begin, 0)
        waiting, due = list(blocks), []
        for cycle in range(3000):
            ctx.set(dut.blocks.valid, bool(waiting))
            ctx.set(dut.blocks.payload, waiting[0] if waiting else 0)
            ctx.set(dut.lane.command.ready, cycle % 2 and rng.random() >= pause)
            ctx.set(dut.stop, stop_after is not None and len(commands) >= stop_after)
            replying = bool(due) and due[0][0] == cycle
            # a reply that nobody waits for must be ignored
            ctx.set(dut.lane.reply_valid, replying or not due)
            ctx.set(dut.lane.reply, {"ok": replying and due[0][1]})
            if replying:
                due.pop(0)
            if ctx.get(dut.refused):
                refusals.append(cycle)
            if waiting and ctx.get(dut.blocks.ready):
                waiting.pop(0)
            if ctx.get(dut.lane.command.valid) and ctx.get(dut.lane.command.ready):
                command = ctx.get(dut.lane.command.payload)
                assert command.named
                due.append((cycle + LATENCY, len(commands) != refuse))
                commands.append((command.op, command.cluster, command.data))
                cycles.append(cycle)
            await ctx.tick()
            if ctx.get(dut.idle) and (not waiting or stop_after is not None):
                assert not due, "idle before the last reply"
                return
        raise AssertionError("never idle")

    pysim.simulate(dut, testbench)
    return commands, cycles, refusals


def wanted(blocks, clusters, size):
    """Return the same commands by definition."""
    words = [block >> 32 * n & 0xFFFF_FFFF for block in blocks for n in range(4)]
    commands = []
    for n, cluster in enumerate(clusters):
        commands.append((LaneOp.ADDRESS, cluster, 0))
        part = words[n * size // 4 : (n + 1) * size // 4]
        commands += [(LaneOp.WRITE, cluster, word) for word in part]
    return commands


@pytest.mark.parametrize("pause", [0.0, 0.5])
@pytest.mark.parametrize(
    ("x", "y", "width", "height", "size"),
    [(0, 0, 1, 1, 16), (4, 2, 1, 1, 1024), (1, 1, 3, 2, 32), (0, 0, 5, 3, 16)],
)
def test_clusters_are_written_row_by_row(x, y, width, height, size, pause):
    rng = random.Random(size)
    clusters = [(y + v) * CONFIG.width + x + u for v in range(height) for u in range(width)]
    blocks = [rng.getrandbits(128) for _ in range(len(clusters) * size // 16)]
    commands, cycles, refusals = run(blocks, x=x, y=y, width=width, size=size, pause=pause)
    assert commands == wanted(blocks, clusters, size)
    assert not refusals
    if not pause:
        assert cycles[-1] - cycles[0] == 2 * (len(commands) - 1), "the lane idled"


@pytest.mark.parametrize("refuse", [0, 3, 9])
def test_each_refusal_is_told(refuse):
    _, _, refusals = run([1, 2], size=32, refuse=refuse if refuse < 9 else 8)
    assert len(refusals) == 1


def test_nothing_follows_a_stop():
    commands, _, _ = run([1, 2, 3, 4], size=64, stop_after=3)
    # one command may be on offer already
    assert 3 <= len(commands) <= 4


def test_wrong_cipher_is_refused():
    with pytest.raises(ValueError, match=r"^S-box count must be 4, 8, 16, 32 or 64, not 5$"):
        Loader(CONFIG, sboxes=5)
