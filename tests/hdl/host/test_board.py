# amaranth: UnusedElaboratable=no
# SPDX-License-Identifier: Apache-2.0
"""What stands around a machine on a board."""

from dataclasses import replace

import pytest

from blindvisor.hdl.config import CONFIGURATIONS, MachineConfig
from blindvisor.hdl.generate import TOP_MODULE
from blindvisor.hdl.host.board import BOARD_MODULE, BoardMachine, board_top, machine_signature
from blindvisor.hdl.host.frames import machine_hash
from blindvisor.hdl.host.store import VolatileStore
from blindvisor.hdl.machine import Machine
from blindvisor.sim import pysim

KEY = bytes(range(32))
SMALL = CONFIGURATIONS["small"]


@pytest.mark.parametrize("config", CONFIGURATIONS.values(), ids=CONFIGURATIONS)
def test_the_instance_has_the_ports_of_the_machine(config):
    def ports(signature):
        flat = signature.flatten(signature.create())
        return [(path, member.flow, str(member.shape)) for path, member, _ in flat]

    assert ports(machine_signature(config)) == ports(Machine(config).signature)


def test_the_top_holds_one_machine_and_the_pins():
    text = board_top(SMALL, root_key=KEY, clock_hz=40_000_000, baud=1_000_000)
    assert text.count(f"  {TOP_MODULE} machine (") == 1
    assert f"module {BOARD_MODULE}(" in text
    for port in ("input rx;", "output tx;", "input reset;", "output running;"):
        assert port in text


def test_a_key_of_another_length_is_refused():
    with pytest.raises(ValueError, match="root key must have 32 bytes, not 31"):
        BoardMachine(SMALL, root_key=KEY[1:], clock_hz=40_000_000, baud=1_000_000)


def test_machines_are_told_apart_by_all_but_their_names():
    hashes = {machine_hash(config) for config in CONFIGURATIONS.values()}
    assert len(hashes) == len(CONFIGURATIONS)
    assert machine_hash(replace(SMALL, name="other")) == machine_hash(SMALL)
    assert machine_hash(replace(SMALL, fifo_depth=8)) != machine_hash(SMALL)


@pytest.mark.parametrize("rows", [1, 2, 5])
def test_the_store_is_empty_at_first_and_keeps_rows(rows):
    dut = VolatileStore(MachineConfig(name="test", width=1, height=1, store_rows=rows))

    async def ask(ctx, index, row=None):
        request = dut.port.request
        given = row or {"identity": 0, "version": 0, "generation": 0, "valid": 0, "reserved": 0}
        ctx.set(request.payload, {"write": row is not None, "index": index, "row": given})
        ctx.set(request.valid, 1)
        await ctx.tick().until(request.ready)
        ctx.set(request.valid, 0)
        while not ctx.get(dut.port.response.valid):
            await ctx.tick()
        answer = ctx.get(dut.port.response.row)
        await ctx.tick()
        assert not ctx.get(dut.port.response.valid)
        return answer

    async def testbench(ctx):
        written = {}
        for index in range(rows):
            assert (await ask(ctx, index)).as_bits() == 0
        for index in range(rows):
            row = {
                "identity": 0x1234 << 100 | index,
                "version": 0xFFFF_0000 + index,
                "generation": 7 + index,
                "valid": 1,
                "reserved": 0,
            }
            await ask(ctx, index, row)
            written[index] = row
        for index, row in written.items():
            answer = await ask(ctx, index)
            assert {name: getattr(answer, name) for name in row} == row

    pysim.simulate(dut, testbench)
