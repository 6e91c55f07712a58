# amaranth: UnusedElaboratable=no
"""What a guest can learn of where it is, and of how its VM came here."""

import pytest

from blindvisor.hdl.abi import GuestRegister
from blindvisor.hdl.cluster.identity import Identity
from blindvisor.hdl.config import MachineConfig
from blindvisor.sim import pysim

CONFIG = MachineConfig(name="test", width=4, height=4, cores=2, memory_bytes=2048)


@pytest.mark.parametrize("resumed", [0, 1])
def test_registers_say_where_the_cluster_is_and_whether_the_vm_was_restored(resumed):
    dut = Identity(CONFIG)

    async def testbench(ctx):
        bus = dut.bus
        ctx.set(dut.resumed, resumed)
        ctx.set(dut.own, {"x": 2, "y": 1})
        ctx.set(dut.last, {"x": 3, "y": 2})
        ctx.set(dut.time, 0x11112222_33334444)
        ctx.set(bus.core, 1)
        ctx.set(bus.own, 1)
        ctx.set(bus.stb, 1)
        for register, value in (
            (GuestRegister.COORDINATES, 2 | 1 << 8),
            (GuestRegister.SIZE, 4 | 3 << 8),
            (GuestRegister.CORE, 1 | 2 << 8),
            (GuestRegister.MEMORY, 2048),
            (GuestRegister.FAULTS, 0),
            (GuestRegister.FAULT_ADDRESS, 0),
            (GuestRegister.TIME, 0x33334444),
            (GuestRegister.TIME_HIGH, 0x11112222),
            (GuestRegister.FLAGS, resumed),
        ):
            ctx.set(bus.adr, register.value)
            ctx.set(bus.we, 0)
            await ctx.tick()
            assert (ctx.get(bus.dat_r), ctx.get(bus.err)) == (value, 0), register
            ctx.set(bus.we, 1)
            await ctx.tick()
            assert ctx.get(bus.err) == (register is not GuestRegister.FAULT_ADDRESS), register

    pysim.simulate(dut, testbench)
