# amaranth: UnusedElaboratable=no
"""Each slot has its own record."""

import random

import pytest

from blindvisor.hdl.config import MachineConfig
from blindvisor.hdl.loader.records import RecordBlock, SlotRecords
from blindvisor.sim import pysim


@pytest.mark.parametrize("vms", [1, 2, 7, 8])
def test_all_blocks_of_all_slots_are_kept_apart(vms):
    rng = random.Random(vms)
    dut = SlotRecords(MachineConfig(name="test", width=1, height=1, vms=vms))
    places = [(vm, block) for vm in range(1, vms + 1) for block in RecordBlock]
    kept = {place: rng.getrandbits(128) for place in places}

    async def testbench(ctx):
        for vm, block in rng.sample(places, len(places)):
            record = {"valid": 1, "vm": vm, "block": block, "data": kept[vm, block]}
            ctx.set(dut.write, record)
            await ctx.tick()
            ctx.set(dut.write, record | {"valid": 0, "data": -1})  # not a write
            await ctx.tick()
        for vm, block in places:
            ctx.set(dut.read_vm, vm)
            ctx.set(dut.read_block, block)
            assert ctx.get(dut.read_data) == kept[vm, block]

    pysim.simulate(dut, testbench)
