# SPDX-License-Identifier: Apache-2.0
"""Whom the security monitor lets the loader load or save, and where."""

from typing import Any

from amaranth import Cat, Module, Signal
from amaranth.hdl import Assert, Cover

from blindvisor.hdl.abi import Call
from blindvisor.hdl.config import MachineConfig
from blindvisor.hdl.iocluster.tables import VM_RECORD
from blindvisor.verification.formal.monitor_tables_spec import LENDING, MonitorTablesSpec

__all__ = ["MonitorHandsSpec"]

SAME = ("FETCH", "CHECK", *LENDING)
"""States of a VM_LOAD or VM_SAVE in which nothing has changed yet."""


class MonitorHandsSpec(MonitorTablesSpec):
    """What the loader is told, from its start until it is done.

    Claims
    ------
    P3-HANDED
        The loader is started in a VM_LOAD or VM_SAVE alone, for a VM that exists: the one that
        the call names. From its start until it is done it is told this VM, which of the two calls
        it is, the length that the call gives, and the rectangle that was in the VM's record when
        the call began, and still is.
    P3-MESH
        That rectangle is not empty, and lies in the mesh.

    Besides, it has all claims, lemmas and assumptions of its parent, which make these inductive.
    By P4-RECORD the VM owns all clusters of that rectangle.
    """

    script = (
        (Call.VM_CREATE, 1, 1, 0, 1, 1),
        (Call.VM_LOAD, 1, 144),
        (Call.VM_START, 1),
        (Call.VM_FREEZE, 1),
        (Call.VM_SAVE, 1),
    )

    def __init__(self, config: MachineConfig, *, deep: bool = True) -> None:
        self.saves_too = deep
        super().__init__(config, deep=False)

    def elaborate(self, platform: object) -> Module:
        """Remember the record when a call begins."""
        m = super().elaborate(platform)
        seen, config = self.seen, self.config
        load, calls = seen.dut.load, seen.dut.calls
        at_call = Signal(VM_RECORD)
        with m.If(calls.start & ~calls.busy):
            m.d.sync += at_call.eq(seen.record)
        works = load.start | calls.loading | calls.saving
        loads, saves = (seen.call == call.value for call in (Call.VM_LOAD, Call.VM_SAVE))
        about, first = seen.words[0] == self.vm, seen.words[0]
        given, kept = _rectangle(load), _rectangle(at_call)
        m.d.comb += [
            Assert(~works | loads | saves, "P3-HANDED"),
            Assert(~works | ((first != 0) & (first <= config.vms)), "P3-HANDED"),
            Assert(~works | ((load.vm == first) & (load.save == saves)), "P3-HANDED"),
            Assert(~(works & loads) | (load.length == seen.words[1]), "P3-HANDED"),
            Assert(~(works & about) | (given == kept), "P3-HANDED"),
            Assert(~(works & about) | (given == _rectangle(seen.record)), "P3-HANDED"),
            Assert(~(works & about) | ((load.width != 0) & (load.height != 0)), "P3-MESH"),
            Assert(~(works & about) | (load.x + load.width <= config.width), "P3-MESH"),
            Assert(~(works & about) | (load.y + load.height <= config.height), "P3-MESH"),
            Assert(~seen.within(*LENDING) | (first <= config.vms), "lemma: the VM exists"),
            Assert(
                ~(seen.within(*SAME) & (loads | saves) & about) | (kept == _rectangle(seen.record)),
                "lemma: the record stays",
            ),
        ]
        if self.saves_too:
            started = load.start & (load.x == 1) & (load.width == 1)
            m.d.comb += [
                Cover(started & loads, "the loader is started for a load"),
                Cover(started & saves, "the loader is started for a save"),
                Cover(seen.well & saves, "a save ends well"),
            ]
        return m


def _rectangle(of: Any) -> Any:
    return Cat(of.x, of.y, of.width, of.height)
