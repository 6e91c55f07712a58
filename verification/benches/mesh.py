# SPDX-License-Identifier: Apache-2.0
"""cocotb bench of a mesh, driven through its Verilog netlist.

The environment variables ``MESH_WIDTH`` and ``MESH_HEIGHT`` say what it looks like.
"""

import os
import random
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge

from blindvisor.sim.bfm.stream import StreamSink, StreamSource
from blindvisor.verification.benches.noc_traffic import Scoreboard, coin, random_packet

__all__: list[str] = []

PACKETS = 60  # per cluster
WARM_UP = 400  # cycles until the FIFOs of an overloaded mesh have settled
WINDOW = 1000  # cycles that are counted


class Bench:
    """The ends of all local ports, a scoreboard, and what has been counted."""

    def __init__(self, dut: Any, *, source_pause: float = 0.0, sink_pause: float = 0.0) -> None:
        self.dut = dut
        self.width = int(os.environ["MESH_WIDTH"])
        self.height = int(os.environ["MESH_HEIGHT"])
        self.clusters = [(x, y) for y in range(self.height) for x in range(self.width)]
        self.rng = random.Random(cocotb.RANDOM_SEED)
        self.board = Scoreboard()
        self.drops = [0] * len(self.clusters)
        indices = range(len(self.clusters))
        self.sources = [
            StreamSource(dut, f"local_in__{n}", pauses=coin(self.rng, source_pause))
            for n in indices
        ]
        self.sinks = [
            StreamSink(dut, f"local_out__{n}", pauses=coin(self.rng, sink_pause)) for n in indices
        ]

    async def start(self) -> None:
        """Reset the mesh and start to receive."""
        for n in range(len(self.clusters)):
            getattr(self.dut, f"local_in__{n}__valid").value = 0
            getattr(self.dut, f"local_out__{n}__ready").value = 0
        Clock(self.dut.clk, 10, "ns").start()
        self.dut.rst.value = 1
        await ClockCycles(self.dut.clk, 2)
        self.dut.rst.value = 0
        for n in range(len(self.clusters)):
            cocotb.start_soon(self._receive(n))
        cocotb.start_soon(self._count_drops())

    async def send(self, n: int, to: tuple[int, int], length: int) -> None:
        """Send a packet from cluster ``n``, and expect it where it belongs, if anywhere."""
        packet = random_packet(self.rng, self.clusters[n], to, length)
        if to in self.clusters and to != self.clusters[n]:
            self.board.expect(packet, to)
        for word in packet.words:
            await self.sources[n].put(word)

    async def drain(self) -> None:
        """Wait until everything has arrived, and then for what nobody expects."""
        while self.board.outstanding:
            await RisingEdge(self.dut.clk)
        await ClockCycles(self.dut.clk, 100)

    async def _receive(self, n: int) -> None:
        while True:
            self.board.saw(self.clusters[n], await self.sinks[n].get())

    async def _count_drops(self) -> None:
        while True:
            await RisingEdge(self.dut.clk)
            if dropped := int(self.dut.dropped.value):
                for n in range(len(self.clusters)):
                    self.drops[n] += dropped >> n & 1


@cocotb.test(timeout_time=200, timeout_unit="us")
@cocotb.parametrize(source_pause=[0.0, 0.8], sink_pause=[0.0, 0.6])
async def every_packet_arrives(dut: Any, source_pause: float, sink_pause: float) -> None:
    """Random packets between all clusters, some for the sender or for outside the mesh."""
    bench = Bench(dut, source_pause=source_pause, sink_pause=sink_pause)
    await bench.start()
    to_self = [0] * len(bench.clusters)

    async def cluster(n: int) -> None:
        for _ in range(PACKETS):
            x, y = bench.rng.choice(bench.clusters)
            if bench.rng.random() < 0.1:
                x, y = bench.rng.randrange(16), bench.rng.randrange(16)
            to_self[n] += (x, y) == bench.clusters[n]
            await bench.send(n, (x, y), bench.rng.randint(1, 4))

    for task in [cocotb.start_soon(cluster(n)) for n in range(len(bench.clusters))]:
        await task
    await bench.drain()
    assert bench.drops == to_self
    assert bench.board.packets > 0


@cocotb.test(timeout_time=100, timeout_unit="us")
async def everybody_reaches_one_cluster(dut: Any) -> None:
    """With all clusters sending to one, each of them still gets its packets through."""
    bench = Bench(dut)
    await bench.start()
    goal = bench.rng.choice(bench.clusters)

    async def cluster(n: int) -> None:
        for _ in range(PACKETS // 4):
            await bench.send(n, goal, 3)

    others = [n for n, place in enumerate(bench.clusters) if place != goal]
    for task in [cocotb.start_soon(cluster(n)) for n in others]:
        await task
    await bench.drain()
    assert bench.board.packets == len(others) * (PACKETS // 4)


@cocotb.test(timeout_time=100, timeout_unit="us")
@cocotb.parametrize((("length", "share"), [(1, 0.65), (4, 0.60)]))
async def overloaded_mesh_carries_its_share(dut: Any, length: int, share: float) -> None:
    """Uniform random traffic fills the stated share of what the bisection could carry."""
    bench = Bench(dut)
    await bench.start()

    async def cluster(n: int) -> None:
        others = [place for place in bench.clusters if place != bench.clusters[n]]
        while True:
            await bench.send(n, bench.rng.choice(others), length)

    for n in range(len(bench.clusters)):
        cocotb.start_soon(cluster(n))
    await ClockCycles(dut.clk, WARM_UP)
    before = bench.board.flits
    await ClockCycles(dut.clk, WINDOW)
    count = len(bench.clusters)
    carried = (bench.board.flits - before) / (WINDOW * count)
    # Half of the flits from each half cross the middle, over one link per row and direction.
    capacity = 4 * bench.width * (count - 1) / count**2
    dut._log.info("%d-flit packets: %.3f flits per cluster and cycle", length, carried)
    print(f"{length}-flit packets: {carried:.3f} flits, {carried / capacity:.1%} of capacity")
    assert carried >= share * capacity
