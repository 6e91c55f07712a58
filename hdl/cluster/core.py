# SPDX-License-Identifier: Apache-2.0
"""The cluster's view of a processor core. Another core is another class with these members."""

import warnings
from typing import Any

from amaranth import Cat, Fragment, Module, Mux, ResetInserter, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from blindvisor.hdl.abi import OWN_CLUSTER
from blindvisor.hdl.cluster.bus import LocalBus
from blindvisor.hdl.cluster.minerva import Minerva, RegisterFile

__all__ = ["RESET_ADDRESS", "MinervaCore"]

RESET_ADDRESS = OWN_CLUSTER << 24


class _ClearableRegisterFile(wiring.Component):
    """Minerva's register file, which a reset leaves as it was, with a way to zero it.

    The names of the members are Minerva's. While ``clear`` is set, register ``clear_index`` is
    written with zero.
    """

    clear: Signal
    clear_index: Signal
    w_wp_en: Signal
    w_wp_addr: Signal
    w_wp_data: Signal

    _INPUTS = (
        *(("d_rp1_addr", 5), ("d_rp2_addr", 5), ("d_ready", 1)),
        *(("x_wp_addr", 5), ("x_wp_en", 1), ("x_wp_rdy", 1), ("x_wp_data", 32)),
        *(("m_wp_addr", 5), ("m_wp_en", 1), ("m_wp_rdy", 1), ("m_wp_data", 32)),
    )
    _WRITE = (("w_wp_addr", 5), ("w_wp_en", 1), ("w_wp_data", 32))
    _OUTPUTS = (("d_rp1_rdy", 1), ("d_rp2_rdy", 1), ("x_rp1_data", 32), ("x_rp2_data", 32))

    def __init__(self) -> None:
        members = {name: In(width) for name, width in (*self._INPUTS, *self._WRITE)}
        members |= {name: Out(width) for name, width in self._OUTPUTS}
        super().__init__({**members, "clear": In(1), "clear_index": In(5)})

    def elaborate(self, platform: object) -> Module:
        """Take over the write port while clearing."""
        m = Module()
        m.submodules.inner = inner = RegisterFile()
        for name, _ in self._INPUTS:
            m.d.comb += getattr(inner, name).eq(getattr(self, name))
        for name, _ in self._OUTPUTS:
            m.d.comb += getattr(self, name).eq(getattr(inner, name))
        m.d.comb += [
            inner.w_wp_en.eq(self.w_wp_en | self.clear),
            inner.w_wp_addr.eq(Mux(self.clear, self.clear_index, self.w_wp_addr)),
            inner.w_wp_data.eq(Mux(self.clear, 0, self.w_wp_data)),
        ]
        return m


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
            core._gprf = registers = _ClearableRegisterFile()
            m.submodules.minerva = ResetInserter(self.reset)(Fragment.get(core, platform))

        m.d.comb += [
            registers.clear.eq(self.clear & self.reset),
            registers.clear_index.eq(self.clear_index),
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
