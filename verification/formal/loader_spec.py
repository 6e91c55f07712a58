# SPDX-License-Identifier: Apache-2.0
"""When the loader says OK, and when it speaks to clusters."""

from amaranth import Module, Mux, Signal
from amaranth.hdl import Assert, Cover

from blindvisor.hdl.abi import Result
from blindvisor.hdl.ionet.flits import LaneOp
from blindvisor.verification.formal.loader_environment import LoaderEnvironment

__all__ = ["LoaderSpec"]


class LoaderSpec(LoaderEnvironment):
    """A loader counts the tags that matched.

    Claims
    ------
    P6-OK
        A load's result is OK only after all of its tags matched in this load: the key's, then the
        contents'; the contents' alone if the header says that the key is derived, not wrapped.
    P6-WHOLE
        A tag matches only if the bit at any position does, in the one cycle in which all are
        compared.
    P6-WRITE
        In a load, nothing is sent to a cluster before the key's tag has matched, if the key is
        wrapped.
    P6-DURABLE
        A save gives its tag only after the store has said that a row is durable in this save.
    P3-SILENT
        Nothing is sent while neither a load nor a save runs; WRITE only in a load, READ only in a
        save.
    """

    def __init__(self) -> None:
        super().__init__(copies=1)

    def elaborate(self, platform: object) -> Module:
        """Look at every comparison of tags."""
        m = Module()
        copy = self._copy(m, 0)
        dut, gcm, save = copy.dut, copy.gcm, copy.registers["save"]
        flags = copy.registers["check.flags"]
        sealed = flags[0] & ~flags[2]
        matched, spoiled = Signal(range(3)), Signal()
        asked, durable = Signal(), Signal()
        request = dut.store.request
        with m.If(dut.done):
            m.d.sync += [matched.eq(0), spoiled.eq(0), asked.eq(0), durable.eq(0)]
        with m.Else():
            with m.If(gcm.done):
                m.d.sync += [matched.eq(matched + gcm.match), spoiled.eq(spoiled | ~gcm.match)]
            with m.If(request.valid & request.ready):
                m.d.sync += asked.eq(request.payload.write)
            with m.If(asked & self.store_valid):
                m.d.sync += durable.eq(1)
        ok, speaks = dut.result == Result.OK, dut.lane.command.valid
        op = dut.lane.command.payload.op
        made = gcm.tag.bit_select(self.position, 1)
        given = gcm.source.payload.data.bit_select(self.position, 1)
        m.d.comb += [
            Assert(~ok | dut.done, "P6-OK"),
            Assert(~(ok & ~save) | ((matched == Mux(sealed, 1, 2)) & ~spoiled), "P6-OK"),
            Assert(~(gcm.done & gcm.match) | (made == given), "P6-WHOLE"),
            Assert(~(speaks & ~save & ~sealed) | (matched != 0), "P6-WRITE"),
            Assert(~(save & gcm.done) | durable, "P6-DURABLE"),
            Assert(~speaks | dut.busy, "P3-SILENT"),
            Assert(~(speaks & save) | (op != LaneOp.WRITE), "P3-SILENT"),
            Assert(~(speaks & ~save) | (op != LaneOp.READ), "P3-SILENT"),
            Cover(speaks & ~save, "a cluster is written"),
            Cover(ok & ~save, "a load ends well"),
            Cover(speaks & save, "a cluster is read"),
            Cover(dut.report.words.valid, "a report is made"),
        ]
        return m
