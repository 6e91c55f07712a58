# SPDX-License-Identifier: Apache-2.0
"""A complete AES-GCM engine: the cipher and the mode, with nothing of the loader."""

from amaranth import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from blindvisor.hdl.loader.aes import Aes, cipher_lanes
from blindvisor.hdl.loader.gcm import GCM_INPUT, GCM_OUTPUT, Gcm
from blindvisor.hdl.loader.ghash import hash_cycles

__all__ = ["GcmEngine"]


class GcmEngine(wiring.Component):
    """:class:`Gcm` with its own :class:`Aes`, as it is tested and measured.

    Parameters
    ----------
    sboxes : :class:`int`
        S-boxes of the cipher's datapaths: 4, 8, 16, 32 or 64.
    digit : :class:`int`
        Coefficients per cycle of the GHASH multiplier: a power of two from 1 to 64.

    Members
    -------
    key : :py:`In(256)`, short : :py:`In(1)`
        As :class:`Aes`. Must not change from ``start`` to ``done``.
    start, nonce, decrypt, source, sink, done, tag, match
        As :class:`Gcm`.
    """

    # For type checkers; __init__ sets the signature.
    key: Signal
    short: Signal
    start: Signal
    nonce: Signal
    decrypt: Signal
    source: stream.Interface
    sink: stream.Interface
    done: Signal
    tag: Signal
    match: Signal

    def __init__(self, *, sboxes: int = 32, digit: int = 16) -> None:
        hash_cycles(digit)  # refuses a wrong one
        self.lanes = cipher_lanes(sboxes)
        self.sboxes = sboxes
        self.digit = digit
        super().__init__(
            {
                "key": In(256),
                "short": In(1),
                "start": In(1),
                "nonce": In(96),
                "decrypt": In(1),
                "source": In(stream.Signature(GCM_INPUT)),
                "sink": Out(stream.Signature(GCM_OUTPUT)),
                "done": Out(1),
                "tag": Out(128),
                "match": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Join the two."""
        m = Module()
        m.submodules.aes = aes = Aes(sboxes=self.sboxes)
        m.submodules.gcm = gcm = Gcm(lanes=self.lanes, digit=self.digit)
        wiring.connect(m, gcm.cipher, aes.user)
        wiring.connect(m, wiring.flipped(self.source), gcm.source)
        wiring.connect(m, gcm.sink, wiring.flipped(self.sink))
        m.d.comb += [
            aes.key.eq(self.key),
            aes.short.eq(self.short),
            gcm.start.eq(self.start),
            gcm.nonce.eq(self.nonce),
            gcm.decrypt.eq(self.decrypt),
            self.done.eq(gcm.done),
            self.tag.eq(gcm.tag),
            self.match.eq(gcm.match),
        ]
        return m
