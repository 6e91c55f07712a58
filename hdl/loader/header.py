# SPDX-License-Identifier: Apache-2.0
"""The header of an image: where its fields are, and the check of all that needs no key."""

from amaranth import Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from blindvisor.hdl.config import MachineConfig

__all__ = ["HEADER", "HEADER_BLOCKS", "MAGIC", "VERSION", "HeaderCheck", "block_of"]

MAGIC = b"BLNDVSR1"
VERSION = 1

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
        "reserved_1": 64,
        "identity": 128,
        "wrap_nonce": 96,
        "reserved_2": 32,
        "wrapped_key": 256,
        "wrap_tag": 128,
        "nonce": 96,
        "reserved_3": 32,
    }
)
"""Little-endian; the first byte of the image is bits [7:0]."""

HEADER_BLOCKS = HEADER.size // 128

_FIXED = {
    "magic": int.from_bytes(MAGIC, "little"),
    "version": VERSION,
    **dict.fromkeys(("flags", "reserved_0", "reserved_1", "reserved_2", "reserved_3"), 0),
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
    block : :py:`In(128)`, index : :py:`In(3)`, valid : :py:`In(1)`
        Block ``index`` of the header is there, each once, in order.
    bad_header : :py:`Out(1)`
        Magic, version, flags or a reserved byte is wrong (in any block so far).
    bad_size : :py:`Out(1)`
        Width or height is not the VM's, or the bytes per cluster are 0, no multiple of 16 or more
        than the memory.
    cluster_bytes : :py:`Out(...)`
        Bytes per cluster, from 0 to the memory's size; right unless ``bad_size``.
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
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Compare each field in the cycle in which its block is there."""
        m = Module()

        def field(name: str) -> tuple[Signal, Signal]:
            """Return the field's value, and whether it is there now."""
            place = HEADER[name]
            value = Signal(place.width, name=name)
            there = Signal(name=f"{name}_there")
            offset = place.offset % 128
            m.d.comb += [
                value.eq(self.block[offset : offset + place.width]),
                there.eq(self.valid & (self.index == block_of(name))),
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
        return m
