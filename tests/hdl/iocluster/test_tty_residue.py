# amaranth: UnusedElaboratable=no
"""P10: a byte of the former owner never leaves under the new one, however slow the terminal is."""

import pytest

from blindvisor.hdl.config import MachineConfig
from blindvisor.hdl.iocluster.tty_mux import TtyMux
from blindvisor.sim.pysim import simulate

CONFIG = MachineConfig(name="tty", width=1, height=1, tty_channels=2, mailbox_channels=0)


@pytest.mark.parametrize("cleared", [0, 1], ids=["same-channel", "other-channel"])
@pytest.mark.parametrize("when", ["as-it-is-taken", "while-it-waits"])
def test_a_waiting_byte_is_dropped_with_its_channel(cleared, when):
    dut = TtyMux(CONFIG)

    async def testbench(ctx):
        ctx.set(dut.printed[0].payload, ord("E"))
        ctx.set(dut.printed[0].valid, 1)
        ctx.set(dut.clear, (1 << cleared) * (when == "as-it-is-taken"))
        await ctx.tick()
        ctx.set(dut.printed[0].valid, 0)
        ctx.set(dut.clear, (1 << cleared) * (when == "while-it-waits"))
        await ctx.tick()
        ctx.set(dut.clear, 0)
        await ctx.tick()
        assert ctx.get(dut.tty_out.valid) == (cleared == 1)

    simulate(dut, testbench)
