# SPDX-License-Identifier: Apache-2.0
"""When the loader says OK."""

from amaranth import Module, Signal
from amaranth.hdl import Assert, Cover

from blindvisor.hdl.abi import Result
from blindvisor.verification.formal.loader_environment import LoaderEnvironment

__all__ = ["LoaderSpec"]


class LoaderSpec(LoaderEnvironment):
    """A loader counts the tags that matched.

    Claims
    ------
    P6-OK
        The result is OK only after two tags in a row matched in this load: the key's, then the
        contents'.
    P6-WHOLE
        A tag matches only if the bit at any position does, in the one cycle in which all are
        compared.
    P6-WRITE
        Nothing is sent to a cluster before the key's tag has matched.
    P3-SILENT
        Nothing is sent while no load runs.
    """

    def __init__(self) -> None:
        super().__init__(copies=1)

    def elaborate(self, platform: object) -> Module:
        """Look at every comparison of tags."""
        m = Module()
        copy = self._copy(m, 0)
        dut, gcm = copy.dut, copy.gcm
        matched, spoiled = Signal(range(3)), Signal()
        with m.If(dut.done):
            m.d.sync += [matched.eq(0), spoiled.eq(0)]
        with m.Elif(gcm.done):
            m.d.sync += [matched.eq(matched + gcm.match), spoiled.eq(spoiled | ~gcm.match)]
        ok, speaks = dut.result == Result.OK, dut.lane.command.valid
        made = gcm.tag.bit_select(self.position, 1)
        given = gcm.source.payload.data.bit_select(self.position, 1)
        m.d.comb += [
            Assert(~ok | (dut.done & (matched == 2) & ~spoiled), "P6-OK"),
            Assert(~(gcm.done & gcm.match) | (made == given), "P6-WHOLE"),
            Assert(~speaks | (matched != 0), "P6-WRITE"),
            Assert(~speaks | dut.busy, "P3-SILENT"),
            Cover(speaks, "a cluster is written"),
            Cover(ok, "a load ends well"),
        ]
        return m
