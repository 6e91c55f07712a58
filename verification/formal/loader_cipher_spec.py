# SPDX-License-Identifier: Apache-2.0
"""What the loader's cipher is used for in a save and in a report: keys, numbers, counters, tags."""

from typing import Any

from amaranth import Cat, Const, Module, Mux, Signal, Value
from amaranth.hdl import Assert, Assume, Cover

from blindvisor.hdl.abi import Result
from blindvisor.hdl.loader.gcm import _Phase as Message  # pyright: ignore[reportPrivateUsage]
from blindvisor.hdl.loader.header import HEADER_BLOCKS
from blindvisor.hdl.loader.kdf import KdfLabel
from blindvisor.hdl.loader.process import Phase
from blindvisor.hdl.loader.report import _Phase as Report  # pyright: ignore[reportPrivateUsage]
from blindvisor.verification.formal.loader_cipher_lemmas import (
    MEMORY_BLOCKS,
    NONE,
    OPEN,
    ROOT,
    Known,
    lemmas,
)
from blindvisor.verification.formal.loader_environment import (
    CONFIG,
    LoaderCopy,
    LoaderEnvironment,
    Wish,
    given_away,
)

__all__ = ["LoaderCipherSpec"]


class LoaderCipherSpec(LoaderEnvironment):
    """A loader around any cipher and any hash.

    Claims
    ------
    P7-DECLARED
        What ``loader-secrets`` takes as equal in both copies is what it is called there.
        Ciphertext and tag of a save are made under the key that the label SAVE gives; the
        machine's identity is the first half of what the label MACHINE gives under the root key;
        the MAC of a report is one (no key), under the key that the label ATTEST gives. The
        cipher's key is that very value, as it was derived.
    P7-NUMBER
        A save takes the number after that of the save before: the count is one more than when it
        began. This number is the context of the key, and the nonce of the message.
    P7-COUNTER
        In a save the cipher is given zero, then the nonce with the counters 1, 2, 3 and so on,
        below 2**31: never the same twice.
    P7-COVERS
        Each block of header and contents that a save gives out goes into the hash in the same
        cycle, and nothing else does, but the lengths at the end: of ten blocks of header, and of
        all memory of as many clusters as the VM has.
    P6-TAG
        A tag is the hash over all blocks, mixed with the message's second keystream block, E(J0).

    Assumed: the epoch is constant from one reset to the next; the rectangle is not empty, and no
    larger than the mesh (``monitor-hands-*``, P3-MESH).
    """

    def __init__(self, wish: Wish = Wish.LOAD) -> None:
        super().__init__(copies=1, wish=wish)

    def elaborate(self, platform: object) -> Module:
        """State the claims, and what makes them inductive."""
        m = Module()
        copy = self._copy(m, 0)
        # Numbers that can be told from each other; no tag is compared in saves and reports.
        time = Signal(16)
        m.d.sync += time.eq(time + 1)
        self.helpful += [
            (self.noise[0], time.replicate(8)),
            (self.hashes[0], time.rotate_left(5).replicate(8)),
        ]
        started, epoch = Signal(), Signal(64)
        m.d.sync += [started.eq(1), epoch.eq(self.epoch)]
        m.d.comb += Assume(~started | (self.epoch == epoch), "constant")
        starts = copy.dut.start & ~copy.dut.busy
        for size, most in ((self.width, CONFIG.width), (self.height, CONFIG.height)):
            m.d.comb += Assume(~starts | ((size != 0) & (size <= most)), "not empty, in the mesh")
        known = self._remember(m, copy)
        self._keys(m, copy, known)
        self._message(m, copy, known)
        for name, lemma in lemmas(copy, known):
            m.d.comb += Assert(lemma, f"lemma: {name}")
        ok, save = copy.dut.result == Result.OK, copy.registers["save"]
        m.d.comb += [
            Cover(ok & save, "a save ends well"),
            Cover(given_away(copy)["identity"], "the machine's identity is given"),
            Cover(given_away(copy)["MAC"], "a MAC is given"),
        ]
        return m

    def _remember(self, m: Module, copy: LoaderCopy) -> Known:
        dut, kdf, r = copy.dut, copy.kdf, copy.registers
        known = Known(
            kind=Signal(3, init=NONE, name="kind"),
            key=Signal(256, name="meant_key"),
            half=Signal(128, name="half"),
            count=Signal(32, name="count_before"),
            started=Signal(32, name="blocks_started"),
            mask=Signal(128, name="mask"),
            hash=Signal(128, name="hash"),
        )
        reporting = r["reporter.phase"]
        idle = ~dut.busy & (reporting == Report.IDLE.value)
        wanted = dut.report.valid & ~dut.report.cancel
        with m.If(kdf.valid & ~kdf.done):
            m.d.sync += known.half.eq(kdf.half)
        with m.If(idle & (dut.start | wanted)):
            m.d.sync += [known.kind.eq(ROOT), known.key.eq(self.keys[0])]
        with m.Elif(kdf.valid & kdf.done & (dut.busy | (reporting == Report.KEY.value))):
            m.d.sync += [known.kind.eq(kdf.label), known.key.eq(Cat(known.half, kdf.half))]
        with m.If(~dut.busy):
            m.d.sync += known.count.eq(r["numbers.count"])
        gcm = copy.gcm
        with m.If(gcm.start):
            m.d.sync += known.started.eq(0)
        with m.Elif(gcm.cipher.start):
            m.d.sync += known.started.eq(known.started + gcm.lanes)
        with m.If((r["gcm.phase"] == Message.MASK.value) & (r["gcm.left"] != 0)):
            m.d.sync += known.mask.eq(r["gcm.waiting"][:128])
        with m.If((r["gcm.phase"] == Message.HASH.value) & copy.hash.ready):
            m.d.sync += known.hash.eq(self.hashes[0])
        return known

    def _keys(self, m: Module, copy: LoaderCopy, known: Known) -> None:
        """Claim with which keys and numbers is made what is given away."""
        r, kdf, gcm = copy.registers, copy.kdf, copy.gcm
        save, number, given = r["save"], copy.process.numbers.number, given_away(copy)
        kept = r["key"] == known.key
        sealed = (known.kind == KdfLabel.SAVE.value) & kept
        next_one = (r["numbers.count"] == (known.count + 1)[:32]) & (r["numbers.count"] != 0)
        label = Value.cast(kdf.label)
        saves = save & (r["phase"] == Phase.DERIVING)
        m.d.comb += [
            Assert(~(given["ciphertext"] | given["tag"]) | sealed, "P7-DECLARED"),
            Assert(
                ~given["identity"]
                | ((label == KdfLabel.MACHINE.value) & ~kdf.mac & (known.kind == ROOT) & kept),
                "P7-DECLARED",
            ),
            Assert(
                ~given["MAC"] | (kdf.mac & (known.kind == KdfLabel.ATTEST.value) & kept),
                "P7-DECLARED",
            ),
            Assert(~given["MAC"] | (kdf.message == self.digest), "P7-DECLARED"),
            Assert(
                ~saves
                | (
                    (label == KdfLabel.SAVE.value)
                    & ~kdf.mac
                    & (kdf.context == number)
                    & (known.kind == ROOT)
                    & kept
                ),
                "P7-NUMBER",
            ),
            Assert(~(saves | (save & gcm.start)) | next_one, "P7-NUMBER"),
            Assert(~(save & gcm.start) | (gcm.nonce == number), "P7-NUMBER"),
            Assert(~given["ciphertext"] | (r["gcm.nonce"] == number), "P7-NUMBER"),
            Assert(~given["ciphertext"] | next_one, "P7-NUMBER"),
        ]

    def _message(self, m: Module, copy: LoaderCopy, known: Known) -> None:
        """Claim which blocks are enciphered, and which are hashed."""
        r, gcm, scatter, ghash = copy.registers, copy.gcm, copy.process.scatter, copy.hash
        save, phase, number = r["save"], r["phase"], copy.process.numbers.number
        begins = save & gcm.cipher.start
        for lane in range(gcm.lanes):
            count = (known.started + lane)[:32]
            block = Cat(number, *(count.word_select(n, 8) for n in reversed(range(4))))
            meant = Mux(count == 0, 0, block)
            m.d.comb += Assert(~begins | (gcm.cipher.blocks[lane] == meant), "P7-COUNTER")
        body = save & _within(phase, OPEN[:3])
        gives = scatter.blocks.valid & scatter.blocks.ready
        hashes = ghash.valid & ghash.ready
        blocks = r["clusters"] * MEMORY_BLOCKS
        lengths = Const(128 * HEADER_BLOCKS, 64), (blocks << 7)[:64] | Const(0, 64)
        end = Cat(length[:64].word_select(n, 8) for length in lengths for n in reversed(range(8)))
        ends = save & (phase == Phase.TAG) & hashes & (r["gcm.phase"] == Message.MESSAGE.value)
        m.d.comb += [
            Assert(~begins | ~known.started[31], "P7-COUNTER"),
            Assert(~body | (gives == hashes), "P7-COVERS"),
            Assert(~(body & gives) | (ghash.block == scatter.blocks.payload), "P7-COVERS"),
            Assert(~ends | (ghash.block == end), "P7-COVERS"),
            Assert(~gcm.done | (gcm.tag == (known.mask ^ known.hash)), "P6-TAG"),
            Assert(
                ~(save & (phase == Phase.TAG) & scatter.blocks.valid)
                | (gcm.done & (scatter.blocks.payload == gcm.tag)),
                "P6-TAG",
            ),
        ]


def _within(phase: Signal, phases: tuple[Any, ...]) -> Value:
    return Cat(phase == one for one in phases).any()
