# SPDX-License-Identifier: Apache-2.0
"""A store that forgets at reset: for boards without memory that outlives their power."""

from typing import Any

from amaranth import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In

from blindvisor.hdl.config import MachineConfig
from blindvisor.hdl.loader.store import STORE_ROW, StorePort

__all__ = ["VolatileStore"]

_KEPT = STORE_ROW["reserved"].offset  # bits of a row that hold something; the last is `valid`


class VolatileStore(wiring.Component):
    """Rows in a RAM, made free one by one after reset, before the first request is taken.

    Parameters
    ----------
    config : :class:`MachineConfig`
        ``store_rows`` is the number of rows.

    Members
    -------
    port : :py:`In(StorePort(config))`
        Each request is answered two cycles after it was taken.

    Notes
    -----
    Durable only until reset: an older version of a VM, refused today, is taken again after it.
    """

    port: Any

    def __init__(self, config: MachineConfig) -> None:
        self.config = config
        super().__init__({"port": In(StorePort(config))})

    def elaborate(self, platform: object) -> Module:
        """Sweep, then serve."""
        m = Module()
        rows = self.config.store_rows
        # LUTs are what boards lack, block RAM they have.
        m.submodules.memory = memory = Memory(
            shape=_KEPT, depth=rows, init=[], attrs={"ram_style": "block"}
        )
        write = memory.write_port()
        read = memory.read_port()
        request, response = self.port.request, self.port.response
        row = request.payload.row.as_value()
        sweep = Signal(range(max(rows, 2)))
        swept = Signal()
        asked = Signal()
        m.d.comb += [
            request.ready.eq(swept),
            read.en.eq(~write.en),  # never both: RAM blocks need help to give the old word
            read.addr.eq(request.payload.index),
            write.addr.eq(request.payload.index),
            # The sweep clears the valid bit; the rest is 0 as well while the machine asks nothing.
            write.data.eq(Cat(row[: _KEPT - 1], row[_KEPT - 1] & swept)),
            write.en.eq(request.valid & swept & request.payload.write),
            response.row.eq(read.data),
            response.valid.eq(asked),
        ]
        m.d.sync += asked.eq(request.valid & swept)
        with m.If(~swept):
            m.d.comb += [write.addr.eq(sweep), write.en.eq(1)]
            m.d.sync += [sweep.eq(sweep + 1), swept.eq(sweep == rows - 1)]
        return m
