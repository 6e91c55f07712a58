# amaranth: UnusedElaboratable=no
"""A small mesh: neighbours, edges, and the Verilog that holds the router once."""

import random
import re
from typing import Any

import pytest

from blindvisor.hdl.noc.mesh import Mesh, mesh_verilog
from blindvisor.sim import pysim
from blindvisor.verification.benches.noc_traffic import random_packet

SIZE: dict[str, Any] = {"width": 2, "height": 3, "fifo_depth": 2}


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"width": 0}, ValueError, r"^Mesh width must be from 1 to 16, not 0$"),
        ({"height": 17}, ValueError, r"^Mesh height must be from 1 to 16, not 17$"),
        ({"fifo_depth": 1}, ValueError, r"^FIFO depth must be from 2 to 16, not 1$"),
        ({"width": 2.0}, TypeError, r"^Mesh width must be an integer, not 2.0$"),
    ],
)
def test_wrong_parameter_is_refused(parameters, error, message):
    with pytest.raises(error, match=message):
        Mesh(**(SIZE | parameters))


def test_unloaded_mesh_takes_one_cycle_per_router():
    dut = Mesh(**SIZE)
    places = [(x, y) for y in range(SIZE["height"]) for x in range(SIZE["width"])]
    delays = {}
    expected = {
        (a, b): 1 + abs(a[0] - b[0]) + abs(a[1] - b[1]) for a in places for b in places if a != b
    }

    async def testbench(ctx):
        for port in dut.local_out:
            ctx.set(port.ready, 1)
        for (source, to), hops in expected.items():
            (word,) = random_packet(random.Random(0), source, to, 1).words
            port = dut.local_in[places.index(source)]
            sink = dut.local_out[places.index(to)]
            ctx.set(port.payload, {"data": word & 0xFFFF_FFFF, "last": 1})
            ctx.set(port.valid, 1)
            await ctx.tick()
            ctx.set(port.valid, 0)
            for cycles in range(1, hops + 2):
                if ctx.get(sink.valid):
                    delays[source, to] = cycles
                    assert ctx.get(sink.payload).data == word & 0xFFFF_FFFF
                await ctx.tick()

    pysim.simulate(dut, testbench)
    assert delays == expected


def test_packet_for_outside_the_mesh_is_lost_and_holds_up_nobody():
    dut = Mesh(**SIZE)
    got = []
    flits = []
    for to in [(9, 0), (0, 9), (9, 9), (1, 0)]:
        for word in random_packet(random.Random(0), (0, 0), to, 3).words:
            flits.append({"data": word & 0xFFFF_FFFF, "last": word >> 32})
    pysim.simulate(
        dut,
        pysim.offer(dut.local_in[0], flits),
        pysim.collect(dut.local_out[1], got, count=3),
        deadline=40,
    )
    assert [flit.data for flit in got] == [flit["data"] for flit in flits[-3:]]


def test_verilog_holds_the_router_once_and_is_the_same_each_time():
    text = mesh_verilog(**SIZE)
    assert len(re.findall(r"^module router\(", text, re.MULTILINE)) == 1
    assert len(re.findall(r"^ *router router", text, re.MULTILINE)) == 6
    assert text == mesh_verilog(**SIZE)
