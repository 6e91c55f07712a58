# SPDX-License-Identifier: Apache-2.0
"""cocotb bench of the AES-GCM engine: published vectors, and random messages against pycryptodome.

The environment says what is run: ``GCM_SBOXES`` and ``GCM_DIGIT`` are the engine's parameters,
``GCM_VECTORS`` takes every how-manieth published vector (1: all), ``GCM_MESSAGES`` the number of
random messages.
"""

import json
import os
import random
from collections import Counter
from dataclasses import dataclass
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge, Timer
from Crypto.Cipher import AES

from blindvisor.hdl.loader.aes import cipher_cycles, cipher_lanes
from blindvisor.hdl.loader.gcm import GCM_INPUT, GCM_OUTPUT, BlockKind
from blindvisor.hdl.loader.ghash import hash_cycles
from blindvisor.sim.runner import EVENTS_VARIABLE
from blindvisor.verification.vectors import GcmVector, gcm_vectors

__all__ = ["environment"]

PERIOD = 10  # ns


def environment(*, sboxes: int = 32, digit: int = 16) -> dict[str, str]:
    """Return the environment for this engine; what is set already for the others stays."""
    return {
        "GCM_SBOXES": str(sboxes),
        "GCM_DIGIT": str(digit),
        "GCM_VECTORS": os.environ.get("GCM_VECTORS", "60"),
        "GCM_MESSAGES": os.environ.get("GCM_MESSAGES", "60"),
    }


def number(name: str) -> int:
    """Return what the environment says, or the default."""
    return int(os.environ.get(name) or environment()[name])


def tell(kind: str, **values: Any) -> None:
    """Write an event for whoever listens to the simulation."""
    if pipe := os.environ.get(EVENTS_VARIABLE):
        os.write(int(pipe), json.dumps({"kind": kind, **values}).encode() + b"\n")


def limit(*, short: bool) -> float:
    """Return the cycles per block of a long message: the slower of cipher and hash."""
    sboxes = number("GCM_SBOXES")
    cipher = cipher_cycles(sboxes, short=short) / cipher_lanes(sboxes)
    return max(cipher, hash_cycles(number("GCM_DIGIT")))


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What the engine gave for one message."""

    text: bytes
    tag: bytes
    match: bool
    taken: tuple[int, ...]  # cycle in which each block was taken, counted from start


def blocks_of(aad: bytes, text: bytes, tag: bytes) -> list[tuple[BlockKind, bytes]]:
    """Cut a message into the engine's blocks."""
    blocks = [(BlockKind.AAD, aad[n : n + 16]) for n in range(0, len(aad), 16)]
    blocks += [(BlockKind.TEXT, text[n : n + 16]) for n in range(0, len(text), 16)]
    return [*blocks, (BlockKind.TAG, tag)]


class Driver:
    """One message at a time through the engine."""

    def __init__(self, dut: Any) -> None:
        self.dut = dut
        self.rng = random.Random(cocotb.RANDOM_SEED)
        self.pause = 0.0  # chance of a pause, on either side

    async def reset(self) -> None:
        """Start the clock and reset, with all inputs quiet."""
        dut = self.dut
        for name in ("key", "short", "start", "nonce", "decrypt", "source__payload"):
            getattr(dut, name).value = 0
        dut.source__valid.value = 0
        dut.sink__ready.value = 1
        Clock(dut.clk, PERIOD, "ns").start()
        dut.rst.value = 1
        await ClockCycles(dut.clk, 2)
        dut.rst.value = 0
        await RisingEdge(dut.clk)

    async def begin(self, *, key: bytes, nonce: bytes, decrypt: bool) -> None:
        """Start a message."""
        dut = self.dut
        dut.key.value = int.from_bytes(key, "little")
        dut.short.value = len(key) == 16
        dut.nonce.value = int.from_bytes(nonce, "little")
        dut.decrypt.value = decrypt
        dut.start.value = 1
        await RisingEdge(dut.clk)
        dut.start.value = 0
        dut.nonce.value = self.rng.getrandbits(96)  # both are sampled with start
        dut.decrypt.value = self.rng.getrandbits(1)

    async def skip(self, cycles: int) -> None:
        """Offer the block for so many cycles without looking: a long run has many of them."""
        self.dut.source__valid.value = 1
        self.dut.sink__ready.value = 1
        await Timer(PERIOD * cycles + PERIOD // 2, "ns")

    async def message(
        self,
        *,
        key: bytes,
        nonce: bytes,
        aad: bytes,
        text: bytes,
        decrypt: bool,
        tag: bytes = bytes(16),
        only: int | None = None,
    ) -> Outcome:
        """Return what comes out. ``only``: leave after so many blocks, in the middle."""
        dut = self.dut
        await self.begin(key=key, nonce=nonce, decrypt=decrypt)
        out = b""
        taken: list[int] = []
        cycle = 0
        # cycles in which the engine can take nothing: first for H, then for the block's hash
        quiet = cipher_cycles(number("GCM_SBOXES"), short=len(key) == 16)
        made = b""
        match = False
        for kind, block in blocks_of(aad, text, tag)[:only]:
            given = int.from_bytes(block + self.rng.randbytes(16 - len(block)), "little")
            dut.source__payload.value = GCM_INPUT.const(
                {"data": given, "count": len(block), "kind": kind}
            ).as_bits()
            if not self.pause:
                await self.skip(quiet)
                cycle += quiet
            for _ in range(5000):
                offered = self.rng.random() >= self.pause
                dut.source__valid.value = offered
                dut.sink__ready.value = self.rng.random() >= self.pause
                await RisingEdge(dut.clk)
                cycle += 1
                if offered and dut.source__ready.value:
                    break
                assert not dut.done.value
            else:
                raise AssertionError(f"block {len(taken)} was not taken")
            taken.append(cycle)
            quiet = hash_cycles(number("GCM_DIGIT")) - 1
            assert bool(dut.sink__valid.value) == (kind is BlockKind.TEXT)
            assert bool(dut.done.value) == (kind is BlockKind.TAG)
            if kind is BlockKind.TEXT:
                given_back = GCM_OUTPUT.from_bits(int(dut.sink__payload.value))
                assert given_back.count == len(block)
                assert given_back.data >> 8 * len(block) == 0
                out += given_back.data.to_bytes(16, "little")[: len(block)]
            if kind is BlockKind.TAG:
                made = int(dut.tag.value).to_bytes(16, "little")
                match = bool(dut.match.value)
        dut.source__valid.value = 0
        return Outcome(text=out, tag=made, match=match, taken=tuple(taken))


def encrypt(key: bytes, nonce: bytes, aad: bytes, plain: bytes) -> tuple[bytes, bytes]:
    """Return ciphertext and tag as pycryptodome makes them."""
    cipher = AES.new(key, AES.MODE_GCM, nonce=nonce)
    cipher.update(aad)
    return cipher.encrypt_and_digest(plain)


async def check_vector(driver: Driver, vector: GcmVector) -> None:
    """Run one vector in all its directions."""
    message: dict[str, Any] = {"key": vector.key, "nonce": vector.nonce, "aad": vector.aad}
    if "e" in vector.directions:
        outcome = await driver.message(**message, text=vector.plain, decrypt=False)
        assert outcome.text == vector.cipher, vector.name
        assert outcome.tag[: len(vector.tag)] == vector.tag, vector.name
    if "d" in vector.directions:
        padded = vector.tag.ljust(16, b"\0")
        outcome = await driver.message(**message, text=vector.cipher, decrypt=True, tag=padded)
        # The engine knows whole tags alone; of the shorter ones the first bytes are compared here.
        assert (outcome.tag[: len(vector.tag)] == vector.tag) == vector.valid, vector.name
        assert outcome.match == (outcome.tag == padded), vector.name
        if vector.valid:
            assert outcome.text == vector.plain, vector.name
        else:
            assert not outcome.match, vector.name


@cocotb.test(timeout_time=1, timeout_unit="sec")
async def published_vectors(dut: Any) -> None:
    """Vectors of NIST CAVP and Wycheproof come out as published; invalid ones do not match."""
    driver = Driver(dut)
    await driver.reset()
    ran: Counter[str] = Counter()
    failures: list[str] = []
    vectors = list(gcm_vectors())[:: number("GCM_VECTORS")]
    for done, vector in enumerate(vectors):
        if done % 32 == 0:
            tell("progress", what="published vectors", done=done, total=len(vectors))
        try:
            await check_vector(driver, vector)
        except AssertionError as error:
            failures.append(f"{vector.name}: {error}")
        for direction in vector.directions:
            ran[f"{vector.source} {'encrypt' if direction == 'e' else vector.decryption}"] += 1
    tell("published", ran=ran, failures=failures)
    cocotb.log.info("%d messages of published vectors: %s", ran.total(), dict(ran))
    assert not failures, failures
    assert ran.total() > 50


async def check_random_message(driver: Driver, *, decrypt: bool) -> None:
    """Run one message; what is deciphered has a wrong tag half of the time."""
    rng = driver.rng
    driver.pause = rng.choice([0.0, 0.0, 0.5])
    key = rng.randbytes(rng.choice([16, 32]))
    nonce = rng.randbytes(12)
    aad = rng.randbytes(rng.choice([0, 16, rng.randrange(70)]))
    plain = rng.randbytes(rng.choice([0, 16, rng.randrange(100)]))
    ciphered, tag = encrypt(key, nonce, aad, plain)
    message: dict[str, Any] = {"key": key, "nonce": nonce, "aad": aad}
    if decrypt:
        wrong = rng.random() < 0.5
        flipped = int.from_bytes(tag, "little") ^ (1 << rng.randrange(128) if wrong else 0)
        outcome = await driver.message(
            **message, text=ciphered, decrypt=True, tag=flipped.to_bytes(16, "little")
        )
        assert (outcome.text, outcome.tag, outcome.match) == (plain, tag, not wrong)
    else:
        outcome = await driver.message(**message, text=plain, decrypt=False, tag=tag)
        assert (outcome.text, outcome.tag, outcome.match) == (ciphered, tag, True)


@cocotb.test(timeout_time=1, timeout_unit="sec")
async def random_messages_follow_pycryptodome(dut: Any) -> None:
    """Any lengths, keys, directions and pauses; the right tag matches and no other does."""
    driver = Driver(dut)
    await driver.reset()
    total = number("GCM_MESSAGES")
    failures: list[str] = []
    for n in range(total):
        if n % 32 == 0:
            tell("progress", what="random messages", done=n, total=total)
        try:
            await check_random_message(driver, decrypt=n % 2 == 0)
        except AssertionError as error:
            failures.append(f"message {n}: {error}")
    tell("random", ran=total, failures=failures)
    assert not failures, failures


@cocotb.test(timeout_time=10, timeout_unit="ms")
async def a_message_can_be_given_up(dut: Any) -> None:
    """A start in the middle of a message begins a new one that knows nothing of the old."""
    driver = Driver(dut)
    await driver.reset()
    rng = driver.rng
    for _ in range(12):
        key, nonce = rng.randbytes(32), rng.randbytes(12)
        aad, plain = rng.randbytes(40), rng.randbytes(70)
        message: dict[str, Any] = {"nonce": nonce, "aad": aad, "text": plain, "decrypt": False}
        await driver.message(**message, key=rng.randbytes(32), only=rng.randrange(9))
        await Timer(PERIOD * rng.randrange(30) + PERIOD // 2, "ns")
        await RisingEdge(dut.clk)
        outcome = await driver.message(**message, key=key)
        assert (outcome.text, outcome.tag) == encrypt(key, nonce, aad, plain)


@cocotb.test(timeout_time=10, timeout_unit="ms")
async def cycles_depend_on_lengths_alone(dut: Any) -> None:
    """P7: blocks are taken in the same cycles for all keys and data, and at the engine's rate."""
    driver = Driver(dut)
    await driver.reset()
    rng = driver.rng
    for size in (16, 32):
        runs = set()
        for pattern in (bytes(600), b"\xff" * 600, rng.randbytes(600), rng.randbytes(600)):
            outcome = await driver.message(
                key=pattern[:size],
                nonce=pattern[40:52],
                aad=pattern[:40],
                text=pattern[:560],
                decrypt=bool(len(runs)),
            )
            runs.add(outcome.taken)
        assert len(runs) == 1
        text = runs.pop()[3:-1]  # after three blocks of AAD, before the tag
        per_block = (text[-1] - text[8]) / (len(text) - 9)
        cocotb.log.info("AES-%d: %.3f cycles per block", 8 * size, per_block)
        tell("rate", bits=8 * size, cycles=per_block)
        # A group of keystream blocks may wait for the hash once in a while.
        assert per_block <= limit(short=size == 16) + 0.125 * cipher_lanes(number("GCM_SBOXES"))
