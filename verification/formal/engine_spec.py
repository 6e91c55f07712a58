# SPDX-License-Identifier: Apache-2.0
"""Two copies of the AES-GCM engine that differ in all that is secret."""

from typing import Any

from amaranth import Cat, Module
from amaranth.hdl import Assert, Cover
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In

from blindvisor.hdl.loader.engine import GcmEngine
from blindvisor.hdl.loader.gcm import GCM_INPUT

__all__ = ["EngineSpec"]


class EngineSpec(wiring.Component):
    """Two engines of the shipped size, with other keys, nonces, data and directions.

    Claims
    ------
    P7-TIME
        Blocks are taken, given and finished in the same cycles in both, whatever key, nonce, data
        and direction are: time depends on the number and kind of blocks and on the pauses alone.
        The comparison of tags is part of it.
    """

    # For type checkers; __init__ sets the signature.
    start: Any
    short: Any
    valid: Any
    kind: Any
    ready: Any
    keys: Any
    nonces: Any
    blocks: Any
    counts: Any
    decrypt: Any

    def __init__(self) -> None:
        super().__init__(
            {
                "start": In(1),
                "short": In(1),
                "valid": In(1),
                "kind": In(GCM_INPUT["kind"].shape),
                "ready": In(1),
                "keys": In(data.ArrayLayout(256, 2)),
                "nonces": In(data.ArrayLayout(96, 2)),
                "blocks": In(data.ArrayLayout(128, 2)),
                "counts": In(data.ArrayLayout(5, 2)),
                "decrypt": In(2),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Feed both engines and compare their handshakes."""
        m = Module()
        engines = [GcmEngine(), GcmEngine()]
        for n, engine in enumerate(engines):
            m.submodules[f"engine{n}"] = engine
            m.d.comb += [
                engine.key.eq(self.keys[n]),
                engine.short.eq(self.short),
                engine.start.eq(self.start),
                engine.nonce.eq(self.nonces[n]),
                engine.decrypt.eq(self.decrypt[n]),
                engine.source.valid.eq(self.valid),
                engine.source.payload.eq(Cat(self.blocks[n], self.counts[n], self.kind)),
                engine.sink.ready.eq(self.ready),
            ]
        a, b = engines
        m.d.comb += [
            Assert(a.source.ready == b.source.ready, "P7-TIME"),
            Assert(a.sink.valid == b.sink.valid, "P7-TIME"),
            Assert(a.done == b.done, "P7-TIME"),
            Cover(a.sink.valid & a.source.ready, "a block of text is taken"),
            Cover(a.done & ~a.match, "a tag is compared"),
        ]
        return m
