# SPDX-License-Identifier: Apache-2.0
"""What the loader recorded of each slot's image when it accepted it."""

from amaranth import Cat, Module, Signal
from amaranth.lib import data, enum, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from blindvisor.hdl.config import MachineConfig

__all__ = ["ATTRIBUTES", "RECORD_BLOCKS", "RecordBlock", "SlotRecords"]


class RecordBlock(enum.Enum, shape=2):
    """The four 128-bit blocks of a record."""

    IDENTITY = 0
    ATTRIBUTES = 1
    MEASUREMENT_LOW = 2  # its first 16 bytes
    MEASUREMENT_HIGH = 3


RECORD_BLOCKS = len(RecordBlock)

ATTRIBUTES = data.StructLayout(
    {
        "cluster_bytes": 32,
        "version": 32,
        "generation": 32,
        "flags": 16,
        "width": 8,
        "height": 8,
    }
)
"""The block ATTRIBUTES: of the image that was accepted, as its header has them (docs/image.md)."""


class SlotRecords(wiring.Component):
    """Memory of four blocks and a generation per slot, with one write port and one read port each.

    Parameters
    ----------
    config : :class:`MachineConfig`
        The machine.

    Members
    -------
    write : :py:`In({valid, vm, block, data})`
        In a cycle with ``valid``: what is kept as block ``block`` of slot ``vm`` from then on.
    read_vm : :py:`In(8)`, read_block : :py:`In(RecordBlock)`
        What to read.
    read_data : :py:`Out(128)`
        It, in the same cycle.
    line_write : :py:`In({valid, vm, generation})`
        In a cycle with ``valid``: the generation of the store's row when slot ``vm`` was loaded or
        saved.
    line : :py:`Out(32)`
        It, of slot ``read_vm``, in the same cycle. If the row has moved on, another slot's VM of
        the same identity has been saved since: this one is an older state.

    Notes
    -----
    ``vm`` is from 1 to ``config.vms``. There is no valid bit: a slot's record means something while
    its VM is READY, RUNNING or FROZEN, and nobody asks for it otherwise.
    """

    write: data.View
    read_vm: Signal
    read_block: Signal
    read_data: Signal
    line_write: data.View
    line: Signal

    def __init__(self, config: MachineConfig) -> None:
        self.config = config
        super().__init__(
            {
                "write": In(
                    data.StructLayout({"valid": 1, "vm": 8, "block": RecordBlock, "data": 128})
                ),
                "read_vm": In(8),
                "read_block": In(RecordBlock),
                "read_data": Out(128),
                "line_write": In(data.StructLayout({"valid": 1, "vm": 8, "generation": 32})),
                "line": Out(32),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Build a memory that LUT RAM can hold."""
        m = Module()
        # The numbers 1 to vms are all different in their low bits.
        slot_bits = ceil_log2(self.config.vms)
        m.submodules.memory = memory = Memory(shape=128, depth=RECORD_BLOCKS << slot_bits, init=[])
        m.submodules.lines = lines = Memory(shape=32, depth=1 << slot_bits, init=[])
        write, line_write = memory.write_port(), lines.write_port()
        read, line_read = memory.read_port(domain="comb"), lines.read_port(domain="comb")
        m.d.comb += [
            write.en.eq(self.write.valid),
            write.addr.eq(Cat(self.write.block, self.write.vm[:slot_bits])),
            write.data.eq(self.write.data),
            read.addr.eq(Cat(self.read_block, self.read_vm[:slot_bits])),
            self.read_data.eq(read.data),
            line_write.en.eq(self.line_write.valid),
            line_write.addr.eq(self.line_write.vm[:slot_bits]),
            line_write.data.eq(self.line_write.generation),
            line_read.addr.eq(self.read_vm[:slot_bits]),
            self.line.eq(line_read.data),
        ]
        return m
