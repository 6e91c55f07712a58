# SPDX-License-Identifier: Apache-2.0
"""Two copies of the hash that get different messages with the same handshakes."""

from typing import Any

from amaranth import Const, Module, Signal, Value
from amaranth.hdl import Assert, Assume, Cover
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In

from blindvisor.hdl.loader.sha256 import HALVES, Sha256
from blindvisor.verification.formal.inner import opened

__all__ = ["HashSpec"]

_CONTENTS = ("window", "with_k", "hash", "ahead", "later")
"""What the registers that depend on the message are called, beside the words a to h."""


def _of_message(name: str) -> bool:
    return name in set("abcdefgh") or name.startswith(_CONTENTS)


class HashSpec(wiring.Component):
    """Two hashes, and one place of their buffers, any one (``watched``).

    Claims
    ------
    P7-TIME
        Blocks are taken and the digest is there in the same cycles in both, whatever they hold.
    P7-FORGET
        In the cycle after a clear all registers are the same in both; when the next block can be
        taken for the first time, so are the buffers, and nothing is left in them.
    INVARIANT
        What the induction rests on: all registers that say when something happens are the same.

    Assumed: ``watched`` is constant.
    """

    watched: Signal
    clear: Signal
    valid: Signal
    finish: Signal
    blocks: Any

    def __init__(self) -> None:
        super().__init__(
            {
                "watched": In(range(HALVES)),
                "clear": In(1),
                "valid": In(1),
                "finish": In(1),
                "blocks": In(data.ArrayLayout(128, 2)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Feed both, compare all that is not the message."""
        m = Module()
        copies, places, kept = [], [], []
        for n in range(2):
            copy: Any = Sha256()
            fragment, registers = opened(copy)
            buffer = next(part for part, name, _ in fragment.subfragments if name == "buffer")
            place = Signal(64, name=f"place{n}")
            buffer.read_port(
                domain="comb", addr=self.watched, data=place, en=Const(1), transparent_for=()
            )
            m.submodules[f"hash{n}"] = fragment
            m.d.comb += [
                copy.clear.eq(self.clear),
                copy.finish.eq(self.finish),
                copy.sink.valid.eq(self.valid),
                copy.sink.payload.eq(self.blocks[n]),
            ]
            copies.append(copy)
            places.append(place)
            kept.append(registers)
        a, b = copies
        started, cleared = Signal(), Signal(init=1)
        was_watched = Signal.like(self.watched)
        taken = Signal()  # a block, or the message's end, since the last clear
        m.d.sync += [started.eq(1), was_watched.eq(self.watched), cleared.eq(self.clear)]
        with m.If((self.valid & a.sink.ready) | self.finish):
            m.d.sync += taken.eq(1)
        with m.If(self.clear):
            m.d.sync += taken.eq(0)
        m.d.comb += [
            Assume(~started | (self.watched == was_watched), "watched is constant"),
            Assert(a.sink.ready == b.sink.ready, "P7-TIME"),
            Assert(a.done == b.done, "P7-TIME"),
        ]
        for name in sorted(kept[0]):
            same = Value.cast(kept[0][name]) == Value.cast(kept[1][name])
            if _of_message(name):
                m.d.comb += Assert(~cleared | same, "P7-FORGET")
            else:
                m.d.comb += Assert(same, "INVARIANT")

        phase, place = kept[0]["phase"], kept[0]["place"]
        scrubbing, moving = phase == 0, phase == 1
        passed = scrubbing & (self.watched < place)
        m.d.comb += [
            Assert(~a.sink.ready | taken | ((places[0] == 0) & (places[1] == 0)), "P7-FORGET"),
            Assert(
                ~((passed & ~taken) | (moving & ~taken)) | ((places[0] == 0) & (places[1] == 0)),
                "INVARIANT",
            ),
            Assert(~cleared | (scrubbing & (place == 0)), "INVARIANT"),
            Assert(taken | ~kept[0]["waiting"], "INVARIANT"),
            Assert(taken | ~kept[0]["finishing"], "INVARIANT"),
            Assert(taken | scrubbing | moving, "INVARIANT"),
            Cover(a.sink.ready & taken & (places[0] != places[1]), "different messages"),
            Cover(cleared & started & (self.watched == HALVES - 1), "a clear"),
        ]
        return m
