# SPDX-License-Identifier: Apache-2.0
"""The header of an image: where its fields are, and the check of all that needs no key."""

from amaranth import Cat, Module, Signal
from amaranth.lib import data, enum, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from blindvisor.hdl.config import MachineConfig

__all__ = ["HEADER", "HEADER_BLOCKS", "MAGIC", "VERSION", "Flags", "HeaderCheck", "block_of"]

MAGIC = b"BLNDVSR1"
VERSION = 2


class Flags(enum.IntFlag, shape=16):
    """What kind of image this is."""

    SAVED = 1  # made of a frozen VM, not packed
    MIGRATE = 2  # whoever holds the root keys may pack its saved states for another machine
    MIGRATED = 4  # which was done: its key is wrapped


ALLOWED_FLAGS = (
    Flags(0),
    Flags.MIGRATE,
    Flags.SAVED,
    Flags.SAVED | Flags.MIGRATE,
    Flags.SAVED | Flags.MIGRATE | Flags.MIGRATED,
)

HEADER = data.StructLayout(
    {
        "magic": 64,
        "version": 16,
        "flags": 16,
        "width": 8,
        "height": 8,
        "reserved_0": 16,
        "cluster_bytes": 32,
        "security_version": 32,
        "generation": 32,
        "reserved_1": 32,
        "identity": 128,
        "wrap_nonce": 96,
        "reserved_2": 32,
        "wrapped_key": 256,
        "wrap_tag": 128,
        "nonce": 96,
        "reserved_3": 32,
        "measurement": 256,
    }
)
"""Little-endian; the first byte of the image is bits [7:0]."""

HEADER_BLOCKS = HEADER.size // 128

_FIXED = {
    "magic": int.from_bytes(MAGIC, "little"),
    "version": VERSION,
    **dict.fromkeys(("reserved_0", "reserved_1", "reserved_2", "reserved_3"), 0),
}


def block_of(field: str) -> int:
    """Return the number of the 128-bit block of the header in which a field starts."""
    return HEADER[field].offset // 128


class HeaderCheck(wiring.Component):
    """Looks at each block of the header once, as it comes in.

    Parameters
    ----------
    config : :class:`MachineConfig`
        The machine.

    Members
    -------
    width, height : :py:`In(5)`
        Size of the VM in clusters.
    block : :py:`In(128)`, index : :py:`In(range(HEADER_BLOCKS))`, valid : :py:`In(1)`
        Block ``index`` of the header is there, each once, in order.
    bad_header : :py:`Out(1)`
        Magic, version, flags or a reserved byte is wrong (in any block so far), or the image is not
        SAVED and has a generation or a measurement.
    bad_size : :py:`Out(1)`
        Width or height is not the VM's, or the bytes per cluster are 0, no multiple of 16 or more
        than the memory.
    cluster_bytes : :py:`Out(...)`
        Bytes per cluster, from 0 to the memory's size; right unless ``bad_size``.
    flags, security_version, generation : :py:`Out(16)`, :py:`Out(32)`, :py:`Out(32)`
        As the header has them.
    saved, sealed : :py:`Out(1)`, :py:`Out(1)`
        The image is a saved state; and its key is derived, not wrapped. Right unless
        ``bad_header``.
    """

    # For type checkers; the shapes depend on the parameters, so __init__ sets the signature.
    width: Signal
    height: Signal
    block: Signal
    index: Signal
    valid: Signal
    bad_header: Signal
    bad_size: Signal
    cluster_bytes: Signal
    flags: Signal
    security_version: Signal
    generation: Signal
    saved: Signal
    sealed: Signal

    def __init__(self, config: MachineConfig) -> None:
        self.config = config
        super().__init__(
            {
                "width": In(5),
                "height": In(5),
                "block": In(128),
                "index": In(range(HEADER_BLOCKS)),
                "valid": In(1),
                "bad_header": Out(1),
                "bad_size": Out(1),
                "cluster_bytes": Out(bits_for(config.memory_bytes)),
                "flags": Out(16),
                "security_version": Out(32),
                "generation": Out(32),
                "saved": Out(1),
                "sealed": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Compare each field in the cycle in which its block is there."""
        m = Module()
        m.d.comb += [
            self.saved.eq(self.flags[0]),
            self.sealed.eq(self.flags[0] & ~self.flags[2]),
        ]

        def field(name: str, part: int = 0) -> tuple[Signal, Signal]:
            """Return the field's value (of block ``part``), and whether it is there now."""
            place = HEADER[name]
            width = min(place.width, 128)
            value = Signal(width, name=f"{name}_{part}")
            there = Signal(name=f"{name}_{part}_there")
            offset = place.offset % 128
            m.d.comb += [
                value.eq(self.block[offset : offset + width]),
                there.eq(self.valid & (self.index == block_of(name) + part)),
            ]
            return value, there

        for name, expected in _FIXED.items():
            value, there = field(name)
            with m.If(there & (value != expected)):
                m.d.sync += self.bad_header.eq(1)
        for name, size in (("width", self.width), ("height", self.height)):
            value, there = field(name)
            with m.If(there & (value != size)):
                m.d.sync += self.bad_size.eq(1)
        value, there = field("cluster_bytes")
        with m.If(there):
            m.d.sync += self.cluster_bytes.eq(value)
            with m.If((value == 0) | (value[:4] != 0) | (value > self.config.memory_bytes)):
                m.d.sync += self.bad_size.eq(1)
        value, there = field("flags")
        with m.If(there):
            m.d.sync += self.flags.eq(value)
            with m.If(~Cat(value == flags.value for flags in ALLOWED_FLAGS).any()):
                m.d.sync += self.bad_header.eq(1)
        for name in ("security_version", "generation"):
            value, there = field(name)
            with m.If(there):
                m.d.sync += getattr(self, name).eq(value)
        # The flags are in a block before.
        for name, part in (("generation", 0), ("measurement", 0), ("measurement", 1)):
            value, there = field(name, part)
            with m.If(there & ~self.saved & (value != 0)):
                m.d.sync += self.bad_header.eq(1)
        return m
