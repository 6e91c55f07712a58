# SPDX-License-Identifier: Apache-2.0
"""What the header of an image must be like, byte by byte."""

from typing import Any

from amaranth import Cat, Module, Mux, Signal, Value
from amaranth.hdl import Assert, Cover
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from blindvisor.hdl.config import MachineConfig
from blindvisor.hdl.loader.header import HeaderCheck

__all__ = ["HeaderSpec"]

MAGIC = b"BLNDVSR1"
VERSION = 2
SAVED, MIGRATE, MIGRATED = 1, 2, 4
KINDS = (0, MIGRATE, SAVED, SAVED | MIGRATE, SAVED | MIGRATE | MIGRATED)
"""Flags that an image may have."""
RESERVED = {0: (14, 16), 1: (12, 16), 3: (12, 16), 7: (12, 16)}
"""Bytes that must be zero, by 16-byte block."""


class HeaderSpec(wiring.Component):
    """Blocks of a header come in any order, any number of times; offsets are those of the format.

    Claims
    ------
    P6-HEADER
        ``bad_header`` is high from the cycle after the first block with a wrong magic, version,
        kind of image or reserved byte, or with a generation or a measurement although the last
        flags are not those of a saved state; it then stays so, and is low otherwise.
    P6-SIZE
        ``bad_size`` is high from the cycle after the first block that has another width or height
        than the VM, or bytes per cluster that are zero, no multiple of 16 or more than there are.
    P6-FIELDS
        Flags, security version, generation and, unless ``bad_size``, bytes per cluster are those of
        the last block that had them; zero before. What is derived of the flags is so from them.
    """

    width: Signal
    height: Signal
    block: Signal
    index: Signal
    valid: Signal

    def __init__(self, config: MachineConfig) -> None:
        self.config = config
        super().__init__(
            {
                "width": In(5),
                "height": In(5),
                "block": In(128),
                "index": In(4),
                "valid": In(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Follow the fields."""
        m = Module()
        m.submodules.dut = dut = HeaderCheck(self.config)
        for name in ("width", "height", "block", "index", "valid"):
            m.d.comb += getattr(dut, name).eq(getattr(self, name))

        def part(first: int, end: int) -> Value:
            return self.block[8 * first : 8 * end]

        def at(number: int) -> Value:
            return self.valid & (self.index == number)

        flags, version, generation, size = Signal(16), Signal(32), Signal(32), Signal(32)
        bad_header, bad_size = Signal(), Signal()
        told: Any = (
            (0, flags, part(10, 12)),
            (1, size, part(0, 4)),
            (1, version, part(4, 8)),
            (1, generation, part(8, 12)),
        )
        for number, field, value in told:
            with m.If(at(number)):
                m.d.sync += field.eq(value)
        unsaved = ~flags[0]
        header_is_bad = Cat(
            at(0) & (part(0, 8) != int.from_bytes(MAGIC, "little")),
            at(0) & (part(8, 10) != VERSION),
            at(0) & ~Cat(part(10, 12) == kind for kind in KINDS).any(),
            *(at(number) & (part(*ends) != 0) for number, ends in RESERVED.items()),
            at(1) & unsaved & (part(8, 12) != 0),
            (at(8) | at(9)) & unsaved & (part(0, 16) != 0),
        ).any()
        bytes_are_bad = (
            (part(0, 4) == 0) | (part(0, 4)[:4] != 0) | (part(0, 4) > self.config.memory_bytes)
        )
        size_is_bad = Cat(
            at(0) & (part(12, 13) != self.width),
            at(0) & (part(13, 14) != self.height),
            at(1) & bytes_are_bad,
        ).any()
        m.d.sync += [
            bad_header.eq(bad_header | header_is_bad),
            bad_size.eq(bad_size | size_is_bad),
        ]
        m.d.comb += [
            Assert(dut.bad_header == bad_header, "P6-HEADER"),
            Assert(dut.bad_size == bad_size, "P6-SIZE"),
            Assert(bad_size | (dut.cluster_bytes == size), "P6-FIELDS"),
            Assert(dut.flags == flags, "P6-FIELDS"),
            Assert(dut.security_version == version, "P6-FIELDS"),
            Assert(dut.generation == generation, "P6-FIELDS"),
            Assert(dut.saved == flags[0], "P6-FIELDS"),
            Assert(dut.sealed == Mux(flags[0], ~flags[2], 0), "P6-FIELDS"),
            Cover(bad_header & ~bad_size, "a header is bad"),
            Cover(bad_size & ~bad_header, "a size is bad"),
            Cover(~bad_header & ~bad_size & (generation != 0) & (size != 0), "a saved state"),
        ]
        return m
