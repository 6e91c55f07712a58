# SPDX-License-Identifier: Apache-2.0
"""Fair choice among requesters."""

from amaranth import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["RoundRobin"]


class RoundRobin(wiring.Component):
    """Grants one of the requests, first the one after the last that was taken.

    Parameters
    ----------
    count : :class:`int`
        Requesters (1 or more).

    Members
    -------
    requests : :py:`In(count)`
    grants : :py:`Out(count)`
        At most one bit, of a request; combinational. Zero only if nobody asks.
    taken : :py:`In(1)`
        The grant is used in this cycle: its holder goes to the end of the line.
    clear : :py:`In(1)`
        Forgets who was last: what one VM did must not time the next one's accesses (P5, P12).

    Raises
    ------
    :exc:`ValueError`
        If ``count`` is not positive.
    """

    requests: Signal
    grants: Signal
    taken: Signal
    clear: Signal

    def __init__(self, *, count: int) -> None:
        if count <= 0:
            raise ValueError(f"Requester count must be positive, not {count!r}")
        self._count = count
        super().__init__(
            {"requests": In(count), "grants": Out(count), "taken": In(1), "clear": In(1)}
        )

    def elaborate(self, platform: object) -> Module:
        """Isolate the lowest request behind the last winner, else the lowest of all."""
        m = Module()
        behind = Signal(self._count)  # thermometer: requesters after the last winner
        preferred = self.requests & behind
        candidates = Signal(self._count)
        with m.If(preferred.any()):
            m.d.comb += candidates.eq(preferred)
        with m.Else():
            m.d.comb += candidates.eq(self.requests)
        m.d.comb += self.grants.eq(candidates & -candidates)
        with m.If(self.taken & self.grants.any()):
            # x ^ -x has ones above the lowest set bit of x only.
            m.d.sync += behind.eq(self.grants ^ -self.grants)
        with m.If(self.clear):
            m.d.sync += behind.eq(0)
        return m
