# SPDX-License-Identifier: Apache-2.0
"""The cluster's view of a processor core. Another core is another class with these members."""

import warnings
from typing import Any

from amaranth import Cat, Fragment, Module, ResetInserter, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from blindvisor.hdl.abi import OWN_CLUSTER
from blindvisor.hdl.cluster.bus import LocalBus
from blindvisor.hdl.cluster.minerva import Minerva
from blindvisor.hdl.cluster.minerva_units import ClearableRegisterFile, GatedLoadStore
from blindvisor.hdl.cluster.vexriscv import VexRiscvCore, vexriscv_verilog
from blindvisor.hdl.config import MachineConfig

__all__ = ["RESET_ADDRESS", "MinervaCore", "core_verilog", "make_core"]

RESET_ADDRESS = OWN_CLUSTER << 24


def make_core(config: MachineConfig) -> "MinervaCore | VexRiscvCore":
    """Return a core of the kind that a machine has."""
    if config.core == "vexriscv":
        return VexRiscvCore(reset_address=RESET_ADDRESS)
    return MinervaCore(multiply=config.multiply)


def core_verilog(config: MachineConfig) -> str:
    """Return the Verilog of the modules that a machine's cores are instances of; may be empty."""
    return vexriscv_verilog() if config.core == "vexriscv" else ""


class MinervaCore(wiring.Component):
    """A Minerva RV32 core without caches, held in reset or running.

    Minerva raises a precise access fault for every bus error, which is what a denied access has to
    become. It has no caches here, so nothing of a VM survives outside registers and memory.

    Parameters
    ----------
    multiply : :class:`bool`
        Whether it has the M extension.

    Members
    -------
    reset : :py:`In(1)`
        Holds the core in reset: pipeline and control registers are at their initial values.
    clear : :py:`In(1)`, clear_index : :py:`In(5)`
        While in reset: zeroes general register ``clear_index``, which a reset would keep (P5).
    fetch, data : :py:`Out(LocalBus(address_width=30))`
        Instruction and data accesses, guest-physical.
    timer, software, external : :py:`In(1)`
        Interrupt levels.

    Notes
    -----
    Starts at :data:`RESET_ADDRESS`. Source: RISC-V Privileged Architecture, machine level.
    """

    reset: Signal
    clear: Signal
    clear_index: Signal
    fetch: Any
    data: Any
    timer: Signal
    software: Signal
    external: Signal

    def __init__(self, *, multiply: bool) -> None:
        self._multiply = multiply
        super().__init__(
            {
                "reset": In(1),
                "clear": In(1),
                "clear_index": In(5),
                "fetch": Out(LocalBus(address_width=30)),
                "data": Out(LocalBus(address_width=30)),
                "timer": In(1),
                "software": In(1),
                "external": In(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Wrap the core; its deprecation warnings are not ours to mend."""
        m = Module()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            core = Minerva(reset_address=RESET_ADDRESS, with_muldiv=self._multiply)
            core._gprf = registers = ClearableRegisterFile(core._gprf)
            core._loadstore = loadstore = GatedLoadStore(core._loadstore)
            m.submodules.minerva = ResetInserter(self.reset)(Fragment.get(core, platform))

        m.d.comb += [
            registers.clear.eq(self.clear & self.reset),
            registers.clear_index.eq(self.clear_index),
            loadstore.hold.eq(_interrupted(core) | core._data_sel.x_misaligned),
            core.timer_interrupt.eq(self.timer),
            core.software_interrupt.eq(self.software),
            core.external_interrupt.eq(self.external),
        ]
        for ours, theirs in ((self.fetch, core.ibus), (self.data, core.dbus)):
            # In reset Minerva's registers already hold no request; the gate makes it plain.
            asks = Signal(name="asks")
            m.d.comb += [
                asks.eq(theirs.cyc & theirs.stb & ~self.reset),
                ours.stb.eq(asks),
                ours.we.eq(theirs.we),
                ours.adr.eq(theirs.adr),
                ours.sel.eq(theirs.sel),
                ours.dat_w.eq(theirs.dat_w),
                Cat(theirs.dat_r, theirs.ack, theirs.err).eq(Cat(ours.dat_r, ours.ack, ours.err)),
            ]
        return m


def _interrupted(core: Any) -> Value:
    """Whether the instruction in Minerva's X stage will be pushed aside by an interrupt.

    The same values that the exception unit takes over at the end of this cycle.
    """
    exception = core._exception
    enabled, pending = exception._mie.f, exception._mip.f
    lines = [
        getattr(enabled, f"m{line}ie").x_data & getattr(pending, f"m{line}ip").x_data
        for line in ("s", "t", "e")
    ]
    return exception._mstatus.f.mie.x_data & Cat(lines).any()
