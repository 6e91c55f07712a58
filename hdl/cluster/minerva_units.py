# SPDX-License-Identifier: Apache-2.0
"""Two of Minerva's units, each with what it lacks here put around it.

The names of the members are Minerva's, so that the core takes them for its own units.
"""

from typing import Any

from amaranth import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["ClearableRegisterFile", "GatedLoadStore"]


class ClearableRegisterFile(wiring.Component):
    """The register file, which a reset leaves as it was, with a way to zero it.

    While ``clear`` is set, register ``clear_index`` is written with zero (P5).

    Parameters
    ----------
    inner
        Minerva's unit.
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

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        members = {name: In(width) for name, width in (*self._INPUTS, *self._WRITE)}
        members |= {name: Out(width) for name, width in self._OUTPUTS}
        super().__init__({**members, "clear": In(1), "clear_index": In(5)})

    def elaborate(self, platform: object) -> Module:
        """Take over the write port while clearing."""
        m = Module()
        m.submodules.inner = inner = self._inner
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


class GatedLoadStore(wiring.Component):
    """The load and store unit, which would start an access that its instruction never completes.

    Minerva starts an access in its X stage and decides on interrupts and misalignment in the next
    one: a store that an interrupt pushes aside has reached the bus, and does so again after the
    handler. Reads of mailboxes and channels would lose words that way. With ``hold`` the access of
    this cycle's instruction does not start.

    Parameters
    ----------
    inner
        Minerva's unit.
    """

    hold: Signal

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        super().__init__({**dict(inner.signature.members.items()), "hold": In(1)})

    def elaborate(self, platform: object) -> Module:
        """Pass everything on but the start of an access that is held."""
        m = Module()
        m.submodules.inner = inner = self._inner
        for name, member in inner.signature.members.items():
            ours, theirs = getattr(self, name), getattr(inner, name)
            if member.is_signature:
                wiring.connect(m, theirs, wiring.flipped(ours))
            elif member.flow == Out:
                m.d.comb += ours.eq(theirs)
            elif name in ("x_load", "x_store"):
                m.d.comb += theirs.eq(ours & ~self.hold)
            else:
                m.d.comb += theirs.eq(ours)
        return m
