# SPDX-License-Identifier: Apache-2.0
"""Looks a VM identity up in the store, and writes its row."""

from typing import Any

from amaranth import Cat, Const, Module, Signal
from amaranth.lib import data, enum, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from blindvisor.hdl.config import MachineConfig
from blindvisor.hdl.loader.store import STORE_ROW, StorePort

__all__ = ["Versions"]


class _Phase(enum.Enum, shape=3):
    IDLE = 0
    ASK = 1
    READ = 2  # the response is on its way
    COMMIT = 3
    WRITE = 4


class Versions(wiring.Component):
    """Searches the store row by row; what was found, or the first free row, can then be written.

    Parameters
    ----------
    config : :class:`MachineConfig`
        The machine; it has ``store_rows`` rows.

    Members
    -------
    identity : :py:`In(128)`
        Whose row it is about. Must not change while not ``idle``.
    find : :py:`In(1)`
        Begins a search. Only while ``idle``, and once after reset.
    found, full : :py:`Out(1)`
        Valid from ``done`` of a search on: the identity has a row; it has none and there is no
        free one.
    version, generation : :py:`Out(32)`
        What the row says; 0 without one. Valid like ``found``.
    commit : :py:`In(1)`
        Writes ``next_version`` and ``next_generation`` to the identity's row. Only while ``idle``,
        after a search that did not find the store ``full``.
    next_version, next_generation : :py:`In(32)`
        Sampled with ``commit``: whatever ends the load or save then, the row is written as it was
        to be.
    stop : :py:`In(1)`
        Ends a search with the row that is being read, without ``done``. A write is completed.
    done : :py:`Out(1)`
        High for one cycle: the search is over, or the row is durable.
    idle : :py:`Out(1)`
        No request is waiting or unanswered.
    store : :py:`Out(StorePort(config))`
        The store.
    """

    identity: Signal
    find: Signal
    found: Signal
    full: Signal
    version: Signal
    generation: Signal
    commit: Signal
    next_version: Signal
    next_generation: Signal
    stop: Signal
    done: Signal
    idle: Signal
    store: Any

    def __init__(self, config: MachineConfig) -> None:
        self.config = config
        super().__init__(
            {
                "identity": In(128),
                "find": In(1),
                "found": Out(1),
                "full": Out(1),
                "version": Out(32),
                "generation": Out(32),
                "commit": In(1),
                "next_version": In(32),
                "next_generation": In(32),
                "stop": In(1),
                "done": Out(1),
                "idle": Out(1),
                "store": Out(StorePort(config)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Ask for row after row, and remember the identity's or else the first free one."""
        m = Module()
        last = self.config.store_rows - 1
        phase = Signal(_Phase)
        index = Signal(bits_for(last))  # of the row that is asked for
        place = Signal.like(index)  # of the row to write
        free = Signal()  # one was seen
        kept = Signal(64)  # what to write
        request, response = self.store.request, self.store.response
        row = data.View(STORE_ROW, response.row)
        ours = row.valid & (row.identity == self.identity)

        m.d.comb += [
            self.idle.eq(phase == _Phase.IDLE),
            self.full.eq(~self.found & ~free),
        ]
        with m.Switch(phase):
            with m.Case(_Phase.IDLE):
                with m.If(self.find):
                    m.d.sync += phase.eq(_Phase.ASK)
                with m.Elif(self.commit):
                    m.d.sync += [
                        kept.eq(Cat(self.next_version, self.next_generation)),
                        phase.eq(_Phase.COMMIT),
                    ]
            with m.Case(_Phase.ASK):
                m.d.comb += [
                    request.valid.eq(1),
                    request.payload.eq(Cat(Const(0, 1), index, Const(0, STORE_ROW.size))),
                ]
                with m.If(request.ready):
                    m.d.sync += phase.eq(_Phase.READ)
            with m.Case(_Phase.READ):
                with m.If(response.valid):
                    m.d.sync += [index.eq(index + 1), phase.eq(_Phase.ASK)]
                    with m.If(ours | (~row.valid & ~free)):
                        m.d.sync += [place.eq(index), free.eq(~row.valid)]
                    with m.If(ours):
                        m.d.sync += [
                            self.found.eq(1),
                            self.version.eq(row.version),
                            self.generation.eq(row.generation),
                        ]
                    with m.If(ours | (index == last) | self.stop):
                        m.d.sync += [self.done.eq(~self.stop), phase.eq(_Phase.IDLE)]
            with m.Case(_Phase.COMMIT):
                written = Cat(self.identity, kept, 1, Const(0, 63))
                m.d.comb += [
                    request.valid.eq(1),
                    request.payload.eq(Cat(Const(1, 1), place, written)),
                ]
                with m.If(request.ready):
                    m.d.sync += phase.eq(_Phase.WRITE)
            with m.Case(_Phase.WRITE):
                with m.If(response.valid):
                    m.d.sync += [self.done.eq(1), phase.eq(_Phase.IDLE)]
            with m.Default():
                m.d.sync += phase.eq(_Phase.IDLE)
        with m.If(self.done):
            m.d.sync += self.done.eq(0)
        return m
