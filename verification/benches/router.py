# SPDX-License-Identifier: Apache-2.0
"""cocotb bench of the router, driven through its Verilog netlist."""

import random
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge

from blindvisor.hdl.noc.router import PORTS
from blindvisor.sim.bfm.stream import StreamSink, StreamSource
from blindvisor.verification.benches.noc_traffic import Scoreboard, coin, random_packet, way_out

__all__ = ["PARAMETERS"]

PARAMETERS = {"fifo_depth": 3}
PACKETS = 60  # per input


@cocotb.test(timeout_time=100, timeout_unit="us")
@cocotb.parametrize(source_pause=[0.0, 0.6], sink_pause=[0.0, 0.6], places=[1, 16])
async def packets_follow_the_model(
    dut: Any, source_pause: float, sink_pause: float, places: int
) -> None:
    """Random packets at all inputs, many of them for nowhere, come out as the model says.

    ``places``: how far destinations are from the router, per coordinate. Near ones bring most
    packets to the local port, far ones to the others.
    """
    rng = random.Random(cocotb.RANDOM_SEED)
    here = (rng.randrange(16), rng.randrange(16))
    board = Scoreboard()
    swallowed = 0

    sources = {
        port: StreamSource(dut, f"{port}_in", pauses=coin(rng, source_pause)) for port in PORTS
    }
    sinks = {port: StreamSink(dut, f"{port}_out", pauses=coin(rng, sink_pause)) for port in PORTS}
    for port in PORTS:
        getattr(dut, f"{port}_in__valid").value = 0
        getattr(dut, f"{port}_out__ready").value = 0
    dut.x.value, dut.y.value = here
    Clock(dut.clk, 10, "ns").start()
    dut.rst.value = 1
    await ClockCycles(dut.clk, 2)
    dut.rst.value = 0

    def near(coordinate: int) -> int:
        return max(0, min(15, coordinate + rng.randint(-places, places)))

    async def send(port: str) -> None:
        nonlocal swallowed
        for _ in range(PACKETS):
            to = (near(here[0]), near(here[1]))
            packet = random_packet(rng, (PORTS.index(port), 0), to, rng.randint(1, 4))
            output = way_out(port, here, to)
            if output is None:
                swallowed += 1
            else:
                board.expect(packet, output)
            for word in packet.words:
                await sources[port].put(word)

    async def receive(port: str) -> None:
        while True:
            board.saw(port, await sinks[port].get())

    drops = 0

    async def count_drops() -> None:
        nonlocal drops
        while True:
            await RisingEdge(dut.clk)
            drops += int(dut.dropped.value)

    watchers = [cocotb.start_soon(receive(port)) for port in PORTS]
    watchers.append(cocotb.start_soon(count_drops()))
    senders = [cocotb.start_soon(send(port)) for port in PORTS]
    for sender in senders:
        await sender
    while board.outstanding:
        await RisingEdge(dut.clk)
    await ClockCycles(dut.clk, 20 * PARAMETERS["fifo_depth"])  # for what nobody is waiting for
    for watcher in watchers:
        watcher.cancel()

    assert board.packets + swallowed == len(PORTS) * PACKETS
    # One strobe may stand for several inputs.
    assert 0 < drops <= swallowed
