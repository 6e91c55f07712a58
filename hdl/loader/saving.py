# SPDX-License-Identifier: Apache-2.0
"""The phases of a save: clusters are read, enciphered and given out as an image."""

from amaranth import Cat, Const, Module, Signal
from amaranth.lib import data
from amaranth.utils import exact_log2

from blindvisor.hdl.abi import Result
from blindvisor.hdl.loader.gcm import BlockKind
from blindvisor.hdl.loader.header import HEADER_BLOCKS, MAGIC, VERSION, Flags, block_of
from blindvisor.hdl.loader.process import Phase, Process
from blindvisor.hdl.loader.records import ATTRIBUTES, RecordBlock

__all__ = ["image_states", "make_header", "number_states"]


def number_states(m: Module, s: Process) -> None:
    """Add the phases that take a save number, look the row up and make the header."""
    with m.Case(Phase.NUMBER):
        with s.count_clusters():
            # The identity comes into the header buffer first: the store is searched for it.
            m.d.comb += [s.numbers.take.eq(1), s.header_write.en.eq(1)]
            m.d.sync += s.blocks_left.eq(
                s.clusters.shift_left(exact_log2(s.config.memory_bytes // 16))
            )
            s.go(Phase.FIND)
            with m.If(~s.numbers.available):
                s.end(Result.NO_NONCE)
    with m.Case(Phase.FIND):
        versions = s.versions
        m.d.comb += versions.find.eq(~versions.done)
        with m.If(versions.done):
            m.d.sync += s.index.eq(0)
            s.go(Phase.MAKE)
            with m.If(versions.full | versions.generation.all()):
                s.end(Result.STORE_FULL)
    with m.Case(Phase.MAKE):
        m.d.comb += s.header_write.en.eq(1)
        m.d.sync += s.index.eq(s.index + 1)
        attributes = data.View(ATTRIBUTES, s.records.read_data)
        # Else an older state would become the newest one by being saved again.
        older = (attributes.version < s.versions.version) | (
            s.records.line != s.versions.generation
        )
        with m.If((s.index == block_of("magic")) & older):
            s.end(Result.IMAGE_OLD)
        with m.If(s.index == HEADER_BLOCKS - 1):
            m.d.sync += s.index.eq(block_of("nonce"))
            s.go(Phase.DERIVE)


def image_states(m: Module, s: Process) -> None:
    """Add the phases of the contents, and of the tag that makes them worth anything."""
    gcm, versions = s.gcm, s.versions
    with m.Case(Phase.READ):
        m.d.comb += [
            s.reader.enable.eq(1),
            s.kind.eq(BlockKind.TEXT),
            gcm.source.valid.eq(s.reader.blocks.valid),
            s.reader.blocks.ready.eq(gcm.source.ready),
            gcm.sink.ready.eq(s.scatter.blocks.ready),
            s.scatter.blocks.valid.eq(gcm.sink.valid),
        ]
        with m.If(s.reader.blocks.valid & s.reader.blocks.ready):
            m.d.sync += s.blocks_left.eq(s.blocks_left - 1)
            with m.If(s.blocks_left == 1):
                m.d.sync += s.index.eq(block_of("identity"))
                s.go(Phase.COUNT)
    with m.Case(Phase.COUNT):
        m.d.comb += [
            versions.next_version.eq(versions.version),
            versions.next_generation.eq(versions.generation + 1),
            versions.commit.eq(~versions.done),
            # With the commit, not with its end: an ABORT in between must not part the two.
            s.records.line_write.eq(
                Cat(versions.commit & versions.idle, s.vm, versions.next_generation)
            ),
        ]
        with m.If(versions.done):
            s.go(Phase.TAG)
    with m.Case(Phase.TAG):
        m.d.comb += [
            s.kind.eq(BlockKind.TAG),
            gcm.source.valid.eq(s.scatter.blocks.ready),
            s.scatter.blocks.valid.eq(gcm.done),
        ]
        with m.If(gcm.done):
            s.go(Phase.FLUSH)
    with m.Case(Phase.FLUSH), m.If(s.scatter.blocks.ready):
        s.end(Result.OK)


def make_header(m: Module, s: Process) -> None:
    """Make block ``index`` of the header: of the slot's record, the store's row and the number."""
    attributes = Signal(ATTRIBUTES)
    record = s.records.read_data
    measurement = block_of("measurement")
    wanted = s.record_block
    flags = Flags.SAVED.value | (attributes.flags & Flags.MIGRATE.value)
    m.d.comb += [attributes.eq(record), wanted.eq(RecordBlock.ATTRIBUTES)]
    with m.Switch(s.index):
        with m.Case(block_of("magic")):
            first = int.from_bytes(MAGIC + VERSION.to_bytes(2, "little"), "little")
            m.d.comb += s.made.eq(
                Cat(Const(first, 80), flags[:16], attributes.width, attributes.height)
            )
        with m.Case(block_of("cluster_bytes")):
            m.d.comb += s.made.eq(
                Cat(
                    Const(s.config.memory_bytes, 32),
                    attributes.version,
                    (s.versions.generation + 1)[:32],
                )
            )
        with m.Case(block_of("identity")):
            m.d.comb += [wanted.eq(RecordBlock.IDENTITY), s.made.eq(record)]
        with m.Case(block_of("nonce")):
            m.d.comb += s.made.eq(s.numbers.number)
        with m.Case(measurement):
            m.d.comb += [wanted.eq(RecordBlock.MEASUREMENT_LOW), s.made.eq(record)]
        with m.Case(measurement + 1):
            m.d.comb += [wanted.eq(RecordBlock.MEASUREMENT_HIGH), s.made.eq(record)]
