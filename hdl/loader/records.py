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
    """Memory of four blocks per slot, with one write port and one read port.

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

    Notes
    -----
    ``vm`` is from 1 to ``config.vms``. There is no valid bit: a slot's record means something while
    its VM is READY, RUNNING or FROZEN, and nobody asks for it otherwise.
    """

    write: data.View
    read_vm: Signal
    read_block: Signal
    read_data: Signal

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
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Build a memory that LUT RAM can hold."""
        m = Module()
        # The numbers 1 to vms are all different in their low bits.
        slot_bits = ceil_log2(self.config.vms)
        m.submodules.memory = memory = Memory(shape=128, depth=RECORD_BLOCKS << slot_bits, init=[])
        write = memory.write_port()
        read = memory.read_port(domain="comb")
        m.d.comb += [
            write.en.eq(self.write.valid),
            write.addr.eq(Cat(self.write.block, self.write.vm[:slot_bits])),
            write.data.eq(self.write.data),
            read.addr.eq(Cat(self.read_block, self.read_vm[:slot_bits])),
            self.read_data.eq(read.data),
        ]
        return m
