# SPDX-License-Identifier: Apache-2.0
"""What stands in the place of the loader's cipher and hashes: results and times are any."""

from typing import Any

from amaranth import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from blindvisor.hdl.loader.aes import CipherUser, cipher_lanes
from blindvisor.hdl.loader.ghash import Ghash
from blindvisor.hdl.loader.sha256 import Sha256

__all__ = ["BlackBox", "FreeDigest", "FreeHash"]


class BlackBox(wiring.Component):
    """In the place of AES: any results, after any number of cycles."""

    key: Signal
    short: Signal
    user: Any

    def __init__(self, *, sboxes: int) -> None:
        lanes = cipher_lanes(sboxes)
        self.noise = Signal(128 * lanes)
        self.finish = Signal()
        super().__init__({"key": In(256), "short": In(1), "user": In(CipherUser(lanes))})

    def elaborate(self, platform: object) -> Module:
        """Work from ``start`` until told to finish; take results from outside."""
        m = Module()
        working, result = Signal(), Signal(128)
        m.d.comb += [self.user.ready.eq(~working), self.user.results.eq(result)]
        with m.If(self.finish):
            m.d.sync += [working.eq(0), result.eq(self.noise)]
        with m.If(self.user.start):
            m.d.sync += working.eq(1)
        return m


class FreeHash(Ghash):
    """In the place of GHASH: any hash, after any number of cycles."""

    def __init__(self, *, digit: int) -> None:
        super().__init__(digit=digit)
        self.noise = Signal(128)
        self.finish = Signal()

    def elaborate(self, platform: object) -> Module:
        """Work from a block until told to finish; the hash comes from outside."""
        m = Module()
        working = Signal()
        m.d.comb += [self.ready.eq(~working), self.hash.eq(self.noise)]
        with m.If(self.clear | self.finish):
            m.d.sync += working.eq(0)
        with m.Elif(self.valid):
            m.d.sync += working.eq(1)
        return m


class FreeDigest(Sha256):
    """In the place of SHA-256: any digest, any handshake, at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.noise = Signal(256)
        self.takes = Signal()
        self.ends = Signal()

    def elaborate(self, platform: object) -> Module:
        """Take all from outside."""
        m = Module()
        m.d.comb += [
            self.sink.ready.eq(self.takes),
            self.done.eq(self.ends),
            self.digest.eq(self.noise),
        ]
        return m
