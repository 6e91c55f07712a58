# SPDX-License-Identifier: Apache-2.0
"""What is known of keys, numbers and messages of a save, and of keys of a report."""

from dataclasses import dataclass
from typing import Any

from amaranth import Cat, Mux, Signal, Value

from blindvisor.hdl.loader.gcm import _Phase as Message  # pyright: ignore[reportPrivateUsage]
from blindvisor.hdl.loader.header import HEADER_BLOCKS, block_of
from blindvisor.hdl.loader.kdf import KdfLabel
from blindvisor.hdl.loader.process import Phase
from blindvisor.hdl.loader.report import _Block as ReportBlock  # pyright: ignore[reportPrivateUsage]
from blindvisor.hdl.loader.report import _Phase as Report  # pyright: ignore[reportPrivateUsage]
from blindvisor.verification.formal.loader_environment import CONFIG, LoaderCopy

__all__ = ["MEMORY_BLOCKS", "NONE", "OPEN", "ROOT", "Known", "lemmas"]

NONCE = block_of("nonce")
ROOT, NONE = 4, 5  # beside the labels
MEMORY_BLOCKS = CONFIG.memory_bytes // 16
MAKING = (Phase.MAKE, Phase.DERIVE, Phase.DERIVING, Phase.OPEN_CONTENTS, Phase.AUTHENTICATE)
OPEN = (Phase.AUTHENTICATE, Phase.READ, Phase.COUNT, Phase.TAG)
"""Phases of a save in which a message is open."""
SIGNING = (Report.DIGEST, Report.KEY, Report.SIGN, Report.MAC)


@dataclass(frozen=True, kw_only=True)
class Known:
    """What the specification remembers.

    Members
    -------
    kind, key, half
        Where the cipher's key should come from, and what it should be; the half that was derived.
    count
        Saves that had a number when this one began.
    started, mask, hash
        Blocks of this message that the cipher was given; E(J0); the hash over all.
    """

    kind: Signal
    key: Signal
    half: Signal
    count: Signal
    started: Signal
    mask: Signal
    hash: Signal


def lemmas(copy: LoaderCopy, known: Known) -> list[tuple[str, Value]]:
    """Return all lemmas, each with what it is about."""
    return [*_keys(copy, known), *_report(copy, known), *_message(copy, known)]


def _keys(copy: LoaderCopy, known: Known) -> list[tuple[str, Value]]:
    """Return lemmas about the key and the number of a save."""
    r, number = copy.registers, copy.process.numbers.number
    phase, save, index, kdf = r["phase"], r["save"], r["index"], r["kdf.phase"]
    reporting, kept = r["reporter.phase"], r["key"] == known.key
    root, sealed = known.kind == ROOT, known.kind == KdfLabel.SAVE.value
    first = (Phase.NUMBER, Phase.FIND, Phase.MAKE, Phase.DERIVE, Phase.DERIVING)
    later = (Phase.OPEN_CONTENTS, *OPEN, Phase.FLUSH)
    there = ((phase == Phase.MAKE) & (index > NONCE)) | _within(phase, (*MAKING[1:], *OPEN))
    numbered = _within(phase, (Phase.FIND, *MAKING, *OPEN, Phase.FLUSH))
    deriving = save & (phase == Phase.DERIVING)
    loading = (Phase.LENGTH, Phase.HEADER, Phase.CHECK, Phase.OPEN_KEY, Phase.UNWRAP)
    return [
        ("phases", phase <= max(one.value for one in Phase)),
        ("phases", ~_within(phase, (*loading, Phase.LOOK_UP, Phase.WRITE, Phase.COMMIT)) | ~save),
        ("phases", (phase != Phase.RECORD) | ~save),
        ("phases", ~_within(phase, (*first[:3], *OPEN[1:], Phase.FLUSH)) | save),
        ("phases", (phase != Phase.IDLE) | ~save),
        ("reports", (reporting == 0) | (phase == Phase.IDLE)),
        ("lane", (phase != Phase.IDLE) | (copy.process.writer.idle & copy.process.reader.idle)),
        ("keys", ~(save & _within(phase, first)) | (root & kept)),
        ("keys", ~(save & _within(phase, later)) | (sealed & kept)),
        ("halves", ~(save & ~_within(phase, (Phase.DERIVING, Phase.DRAIN))) | ~r["is_second"]),
        ("halves", (phase != Phase.IDLE) | (reporting != 0) | ~r["is_second"]),
        ("halves", ~deriving | (r["is_second"] == r["kdf.last"])),
        ("halves", ~(deriving & r["kdf.last"]) | (r["first_half"] == known.half)),
        ("derives", (kdf == 0) | ~save | _within(phase, (Phase.DERIVING, Phase.DRAIN))),
        ("derives", (kdf == 0) | (phase != Phase.IDLE) | (reporting != 0)),
        ("derives", ~_within(phase, (Phase.DERIVE, *loading[:3])) | (kdf == 0)),
        ("derives", ~deriving | (kdf != 0)),
        (
            "numbers",
            ~_within(phase, (Phase.LENGTH, Phase.NUMBER)) | (r["numbers.count"] == known.count),
        ),
        (
            "numbers",
            ~(save & numbered)
            | ((r["numbers.count"] == (known.count + 1)[:32]) & (r["numbers.count"] != 0)),
        ),
        ("numbers", ~(save & there) | (copy.header[NONCE] == number)),
        ("numbers", ~(save & (r["gcm.phase"] != 0)) | (r["gcm.nonce"] == number)),
        ("index", ~(save & _within(phase, MAKING[1:4])) | (index == NONCE)),
        ("index", ~_within(phase, (Phase.MAKE, Phase.AUTHENTICATE)) | (index < HEADER_BLOCKS)),
    ]


def _report(copy: LoaderCopy, known: Known) -> list[tuple[str, Value]]:
    """Return lemmas about the key of a report."""
    r = copy.registers
    phase, number, kdf = r["reporter.phase"], r["reporter.number"], r["kdf.phase"]
    kept = r["key"] == known.key
    works = phase != Report.IDLE.value
    signs = Cat(phase == one.value for one in SIGNING).any()
    signed = Cat(phase == one.value for one in SIGNING[2:]).any()
    key = phase == Report.KEY.value
    machine, mac = phase == Report.MACHINE.value, phase == Report.MAC.value
    late = (phase == Report.SEND.value) & (number == ReportBlock.MAC.value)
    attest = known.kind == KdfLabel.ATTEST.value
    derives = Cat(phase == one.value for one in (Report.MACHINE, Report.KEY, Report.MAC)).any()
    return [
        ("report", phase <= Report.MAC.value),
        ("report", ~works | (number <= ReportBlock.MAC.value)),
        ("report", ~machine | (number == ReportBlock.MACHINE.value)),
        ("report", ~signs | (number == ReportBlock.MAC.value)),
        ("report", (phase != Report.HASH.value) | (number != ReportBlock.MAC.value)),
        ("report", ~works | kept),
        ("report", ~works | signed | late | (known.kind == ROOT)),
        ("report", ~signed | attest),
        ("report", ~works | key | ~r["is_second"]),
        ("report", ~key | (r["is_second"] == r["kdf.last"])),
        ("report", ~(key & r["kdf.last"]) | (r["first_half"] == known.half)),
        ("report", ~works | derives | (kdf == 0)),
        ("report", ~works | ~derives | (kdf != 0)),
        ("report", ~mac | r["kdf.last"]),
    ]


def _message(copy: LoaderCopy, known: Known) -> list[tuple[str, Value]]:
    """Return lemmas about the message of a save."""
    r, gcm = copy.registers, copy.gcm
    phase, save, index, message = r["phase"], r["save"], r["index"], r["gcm.phase"]
    aad, text = r["gcm.lengths"][:32], r["gcm.lengths"][32:]
    counter, left, first = r["gcm.counter"], r["gcm.left"], r["gcm.first"]
    blocks, blocks_left = r["clusters"] * MEMORY_BLOCKS, r["blocks_left"]
    active = message != Message.IDLE.value
    used = Mux(message == Message.SUBKEY.value, 0, Mux(message == Message.MASK.value, 1, 2))
    taken = (text >> 4) + used
    past = message >= Message.MESSAGE.value
    hashed = message == Message.COMPARE.value
    width, height, times = r["width"], r["height"], r["times"]
    shaped = (width != 0) & (width <= CONFIG.width) & (height != 0) & (height <= CONFIG.height)
    area, to_come = width[:2] * height[:2], times[:2] * width[:2]
    numbering = phase == Phase.NUMBER
    numbered = _within(phase, (Phase.FIND, *MAKING))
    counts = save & _within(phase, (Phase.READ, Phase.COUNT, Phase.TAG))
    ends = (message == Message.HASH.value) | hashed
    return [
        ("message", message <= Message.COMPARE.value),
        ("message", ~(save & active) | _within(phase, (*OPEN, Phase.DRAIN))),
        ("message", (phase != Phase.IDLE) | ~active),
        ("message", ~(save & active) | ~r["gcm.decrypt"]),
        ("message", ~(save & _within(phase, OPEN)) | active),
        ("message", ~(save & _within(phase, OPEN[1:3])) | (message == Message.MESSAGE.value)),
        ("message", ~(save & ends) | _within(phase, (Phase.TAG, Phase.DRAIN))),
        ("message", ~(save & (phase == Phase.AUTHENTICATE)) | ~ends),
        ("message", ~(save & (phase == Phase.TAG)) | past),
        ("counter", ~(save & active) | (counter == known.started)),
        ("counter", ~(save & active & first) | ((counter == 0) & (left == 0) & (used == 0))),
        ("counter", ~(save & active & first) | (text == 0)),
        ("counter", left <= gcm.lanes),
        (
            "counter",
            ~(save & active & ~first) | (counter == (taken + left + gcm.lanes)[:32]),
        ),
        ("counter", ~(save & active) | (text[:4] == 0)),
        ("counter", ~(save & active & (message != Message.MESSAGE.value) & ~ends) | (text == 0)),
        ("shape", (phase == Phase.IDLE) | shaped),
        ("shape", (phase != Phase.IDLE) | (r["clusters"] == 0)),
        ("shape", ~numbering | ((times <= height) & ((r["clusters"] + to_come) == area))),
        ("shape", ~(save & (numbered | _within(phase, OPEN))) | (r["clusters"] == area)),
        ("lengths", ~(save & numbered) | (blocks_left == blocks)),
        ("lengths", ~(save & (phase == Phase.AUTHENTICATE)) | (text == 0)),
        ("lengths", ~(save & (phase == Phase.AUTHENTICATE)) | (aad == (index << 4))),
        ("lengths", ~counts | (aad == 16 * HEADER_BLOCKS)),
        ("lengths", ~counts | (((text >> 4) + blocks_left) == blocks)),
        ("lengths", ~(save & _within(phase, (Phase.COUNT, Phase.TAG))) | (blocks_left == 0)),
        ("lengths", ~(save & (phase == Phase.READ)) | (blocks_left != 0)),
        ("tag", ~(active & past & ~hashed) | (r["gcm.mask"] == known.mask)),
        ("tag", ~hashed | (r["gcm.mask"] == (known.mask ^ known.hash))),
    ]


def _within(phase: Signal, phases: tuple[Any, ...]) -> Value:
    return Cat(phase == one for one in phases).any()
