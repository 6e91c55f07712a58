# SPDX-License-Identifier: Apache-2.0
"""The phases of a load: an image is checked, deciphered and written into clusters."""

from amaranth import Cat, Const, Module, Mux, Signal, Value
from amaranth.utils import exact_log2

from blindvisor.hdl.abi import Result
from blindvisor.hdl.loader.gcm import BlockKind
from blindvisor.hdl.loader.header import HEADER_BLOCKS, block_of
from blindvisor.hdl.loader.process import Phase, Process
from blindvisor.hdl.loader.records import RecordBlock

__all__ = ["contents_states", "header_states", "unwrap_states"]

TAG_BYTES = 16
FRAME_BYTES = HEADER_BLOCKS * 16 + TAG_BYTES  # of an image, beside the contents


def header_states(m: Module, s: Process) -> None:
    """Add the phases up to the check of the header."""
    check = s.check
    contents = Signal(32)  # bytes in the image
    with m.Case(Phase.LENGTH):
        memory = s.clusters.shift_left(exact_log2(s.config.memory_bytes))
        with s.count_clusters():
            s.go(Phase.HEADER)
            m.d.sync += s.blocks_left.eq(s.length[4:])
            with m.If(
                (s.length < FRAME_BYTES) | (s.length[:4] != 0) | (s.length - FRAME_BYTES > memory)
            ):
                s.end(Result.IMAGE_SIZE)
    with m.Case(Phase.HEADER):
        m.d.comb += [
            s.header_write.en.eq(s.gather.blocks.valid),
            check.valid.eq(s.gather.blocks.valid),
            s.gather.blocks.ready.eq(1),
        ]
        with m.If(s.gather.blocks.valid):
            m.d.sync += s.index.eq(s.index + 1)
            with m.If(s.index == HEADER_BLOCKS - 1):
                m.d.sync += s.times.eq(s.clusters)
                s.go(Phase.CHECK)
    with m.Case(Phase.CHECK):
        with m.If(s.times != 0):
            m.d.sync += [s.times.eq(s.times - 1), contents.eq(contents + check.cluster_bytes)]
        with m.Elif(check.bad_header):
            s.end(Result.IMAGE_HEADER)
        with m.Elif(check.bad_size | (s.length != contents + FRAME_BYTES)):
            s.end(Result.IMAGE_SIZE)
        with m.Else():
            nonce = Mux(check.sealed, block_of("nonce"), block_of("wrap_nonce"))
            m.d.sync += s.index.eq(nonce)
            s.go(Phase.DERIVE)


def unwrap_states(m: Module, s: Process) -> None:
    """Add the phases that decipher the VM key and look the identity up in the store."""
    gcm, check, versions = s.gcm, s.check, s.versions
    with m.Case(Phase.OPEN_KEY):
        m.d.comb += gcm.start.eq(1)
        m.d.sync += s.index.eq(0)
        s.go(Phase.UNWRAP)
    with m.Case(Phase.UNWRAP):
        with m.Switch(s.index):
            with m.Case(block_of("wrap_nonce")):  # no part of this message
                m.d.comb += s.kind.eq(BlockKind.NONE)
            with m.Case(block_of("wrapped_key"), block_of("wrapped_key") + 1):
                m.d.comb += s.kind.eq(BlockKind.TEXT)
            with m.Case(block_of("wrap_tag")):
                m.d.comb += s.kind.eq(BlockKind.TAG)
            with m.Default():
                m.d.comb += s.kind.eq(BlockKind.AAD)
        m.d.comb += [gcm.source.valid.eq(1), gcm.sink.ready.eq(1)]
        with m.If(gcm.source.ready):
            m.d.sync += s.index.eq(s.index + 1)
        with m.If(gcm.done):
            m.d.sync += s.index.eq(block_of("identity"))
            s.go(Phase.LOOK_UP)
            with m.If(~gcm.match):
                s.end(Result.IMAGE_KEY)
    with m.Case(Phase.LOOK_UP):
        m.d.comb += versions.find.eq(~versions.done)
        older = (check.security_version < versions.version) | (
            check.saved & (check.generation < versions.generation)
        )
        with m.If(versions.done):
            m.d.sync += s.index.eq(block_of("nonce"))
            s.go(Phase.OPEN_CONTENTS)
            with m.If(older):
                s.end(Result.IMAGE_OLD)
            with m.Elif(versions.full & ~_says_nothing(s)):
                s.end(Result.STORE_FULL)


def _says_nothing(s: Process) -> Value:
    """Whether a new row would only say version 0, never saved: such rows are not written."""
    return ~s.versions.found & (s.check.security_version == 0) & ~s.check.saved


def contents_states(m: Module, s: Process) -> None:
    """Add the phases of the contents, and of what is remembered of an image with the right tag."""
    gcm, check, sha, blocks = s.gcm, s.check, s.sha, s.writer.blocks
    generation = Mux(check.saved, check.generation, s.versions.generation)  # of the row from now on
    with m.Case(Phase.WRITE):
        last = s.blocks_left == 1
        m.d.comb += [
            gcm.source.valid.eq(s.gather.blocks.valid),
            s.kind.eq(Mux(s.blocks_left == 0, BlockKind.TAG, BlockKind.TEXT)),
            s.gather.blocks.ready.eq(gcm.source.ready),
            blocks.valid.eq(gcm.sink.valid & sha.sink.ready),
            s.hashed.eq(gcm.sink.valid & blocks.ready),
            s.hash_finish.eq(s.hashed & sha.sink.ready & last),
            gcm.sink.ready.eq(blocks.ready & sha.sink.ready),
        ]
        m.d.sync += s.index.eq(block_of("identity"))
        with m.If(gcm.done):
            s.go(Phase.COMMIT)
            with m.If(~gcm.match):
                s.end(Result.IMAGE_TAG)
    with m.Case(Phase.COMMIT):
        # Neither is lower than the row's: an image for which one is was refused.
        m.d.comb += [
            s.versions.next_version.eq(check.security_version),
            s.versions.next_generation.eq(generation),
            s.versions.commit.eq(s.writer.idle & ~s.versions.done & ~_says_nothing(s)),
        ]
        with m.If(s.versions.done | (s.writer.idle & _says_nothing(s))):
            s.go(Phase.RECORD)
    with m.Case(Phase.RECORD):
        part = Signal(RecordBlock)
        block = Signal(128)
        measurement = block_of("measurement")
        m.d.comb += [
            s.records.write.eq(Cat(s.digested, s.vm, part, block)),
            s.records.line_write.eq(Cat(s.digested, s.vm, generation)),
        ]
        with m.Switch(part):
            with m.Case(RecordBlock.IDENTITY):
                m.d.comb += block.eq(s.header_read.data)
            with m.Case(RecordBlock.ATTRIBUTES):
                size = (s.width, Const(0, 3), s.height, Const(0, 3))
                versions = (check.security_version, check.generation)
                bytes_per_cluster = (check.cluster_bytes, Const(0, 32 - len(check.cluster_bytes)))
                m.d.comb += block.eq(Cat(*bytes_per_cluster, *versions, check.flags, *size))
            with m.Case(RecordBlock.MEASUREMENT_LOW):
                m.d.comb += block.eq(Mux(check.saved, s.header_read.data, sha.digest[:128]))
            with m.Case(RecordBlock.MEASUREMENT_HIGH):
                m.d.comb += block.eq(Mux(check.saved, s.header_read.data, sha.digest[128:]))
        with m.If(s.digested):
            m.d.sync += part.eq(part.as_value() + 1)
            m.d.sync += s.index.eq(measurement + (part == RecordBlock.MEASUREMENT_LOW))
            with m.If(part == RecordBlock.MEASUREMENT_HIGH):
                s.end(Result.OK)
