# SPDX-License-Identifier: Apache-2.0
"""Planted faults for the proofs of the loader."""

from blindvisor.verification.controls.plant import Edit, Fault

__all__ = ["LOADER_PROOF_FAULTS"]


def _one(name: str, promises: tuple[str, ...], breaks: str, file: str, old: str, new: str) -> Fault:
    return Fault(name=name, promises=promises, breaks=breaks, edits=(Edit(file, old, new),))


LOADER_PROOF_FAULTS = (
    _one(
        "reader-cluster-zero",
        ("P3",),
        "a save reads cluster 0, whoever owns it",
        "loader/reader.py",
        '| Cat(cluster).shift_left(fields["cluster"].offset)',
        '| Cat(cluster & 0).shift_left(fields["cluster"].offset)',
    ),
    _one(
        "loader-strays",
        ("P3",),
        "a load writes into the cluster to the right of the VM's rectangle",
        "loader/writer.py",
        "last_column = column + 1 == self.width",
        "last_column = column == self.width",
    ),
    _one(
        "loader-mixes-words",
        ("P3",),
        "the words of a block are written in another order",
        "loader/writer.py",
        "words.eq(words[32:]),",
        "words.eq(words.rotate_right(64)),",
    ),
    _one(
        "loader-skips-last",
        ("P6",),
        "the last block of the contents is taken for the tag, and never written",
        "loader/loading.py",
        "s.kind.eq(Mux(s.blocks_left == 0, BlockKind.TAG, BlockKind.TEXT)),",
        "s.kind.eq(Mux(s.blocks_left == 1, BlockKind.TAG, BlockKind.TEXT)),",
    ),
    _one(
        "reader-writes",
        ("P3",),
        "a save sends WRITE in the place of READ",
        "loader/reader.py",
        "op = Mux(address_due, LaneOp.ADDRESS.value, LaneOp.READ.value)",
        "op = Mux(address_due, LaneOp.ADDRESS.value, LaneOp.WRITE.value)",
    ),
    _one(
        "load-keeps-version",
        ("P6",),
        "a load leaves the version in the store as it was",
        "loader/loading.py",
        "s.versions.next_version.eq(check.security_version),",
        "s.versions.next_version.eq(s.versions.version),",
    ),
    _one(
        "resumed-always",
        ("P6",),
        "every VM is told that it was restored",
        "loader/loader.py",
        "self.resumed.eq(s.check.saved & (s.verdict == Result.OK)),",
        "self.resumed.eq(s.verdict == Result.OK),",
    ),
    _one(
        "load-hangs",
        ("P8",),
        "a load of version 0 waits for the end of a write that it has not asked for",
        "loader/loading.py",
        "with m.If(s.versions.done | (s.writer.idle & _says_nothing(s))):",
        "with m.If(s.versions.done):",
    ),
    _one(
        "save-hangs",
        ("P8",),
        "a save waits for room and for a word at the same time, and never ends",
        "loader/saving.py",
        "m.If(s.scatter.blocks.ready):",
        "m.If(s.scatter.blocks.ready & s.scatter.words.valid):",
    ),
    _one(
        "report-key-of-machine",
        ("P7",),
        "reports are signed under the key whose first half is the machine's identity",
        "loader/report.py",
        "Mux(number == _Block.MAC, KdfLabel.ATTEST, KdfLabel.MACHINE)",
        "Mux(number == _Block.MAC, KdfLabel.MACHINE, KdfLabel.MACHINE)",
    ),
    _one(
        "save-key-of-all",
        ("P7",),
        "all saves have the same key",
        "loader/sharing.py",
        "kdf.context.eq(s.header_read.data),",
        "kdf.context.eq(0),",
    ),
    _one(
        "keystream-repeats",
        ("P7",),
        "all blocks of an image but the first have the same counter",
        "loader/gcm.py",
        "counter.eq(counter + self.lanes)]",
        "counter.eq(self.lanes)]",
    ),
    _one(
        "tag-without-header",
        ("P6", "P7"),
        "the tag of an image does not cover its header",
        "loader/gcm.py",
        "ghash.block.eq(taken),\n                            ghash.valid.eq(self.source.valid),",
        "ghash.block.eq(taken),\n                            ghash.valid.eq(0),",
    ),
    _one(
        "tag-without-mask",
        ("P6",),
        "a tag is the bare hash, which gives the hash's key away",
        "loader/gcm.py",
        "mask.eq(mask ^ ghash.hash)",
        "mask.eq(ghash.hash)",
    ),
    _one(
        "save-in-the-clear",
        ("P7",),
        "a save gives out the memory as it is",
        "loader/loader.py",
        "scatter.blocks.payload.eq(s.gcm.sink.payload.data),",
        "scatter.blocks.payload.eq(s.reader.blocks.payload),",
    ),
    Fault(
        name="report-tells-key",
        promises=("P7",),
        breaks="a report gives the machine's identity mixed with the root key",
        edits=(
            Edit("loader/sharing.py", "reporter.kdf_half.eq(kdf.half),\n", ""),
            Edit(
                "loader/sharing.py",
                "    m.d.comb += aes.key.eq(key)\n",
                "    m.d.comb += [aes.key.eq(key), reporter.kdf_half.eq(kdf.half ^ key[:128])]\n",
            ),
        ),
    ),
)
"""Of what it says to clusters, of what it writes into the store, of what it gives out."""
