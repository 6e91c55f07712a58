# SPDX-License-Identifier: Apache-2.0
"""cocotb bench of the loader's saves: saved images, what the store allows, what is forgotten."""

import hashlib
import random
from dataclasses import replace
from typing import Any

import cocotb
from cocotb.triggers import ClockCycles, RisingEdge

from blindvisor.hdl.abi import REPORT_WORDS, Result
from blindvisor.hdl.loader.store import STORE_ROW
from blindvisor.sw.image.format import Flags
from blindvisor.sw.image.keys import machine_identity, report_key, save_number
from blindvisor.sw.image.pack import rewrap, seal, unpack
from blindvisor.sw.image.report import read_report
from blindvisor.verification.benches.loader import SCRUB, check_loaded, flip, registers
from blindvisor.verification.benches.loader_rig import CONFIG, HEADER, Rig, Vm, make_image, start

__all__ = ["SMALL"]

SMALL = replace(CONFIG, memory_bytes=1024)

EPOCH = 0x0123_4567_89AB_CDEF
IDENTITY = bytes(range(16))  # of make_image
ONE = Vm(x=3, y=1, width=1, height=1, slot=3)


def fill(rig: Rig, rng: random.Random, vm: Vm) -> list[bytes]:
    """Put random words into the VM's clusters; return their memories."""
    memories = []
    for cluster in vm.indices:
        words = [rng.getrandbits(32) for _ in range(SMALL.memory_words)]
        rig.memories[cluster] = words
        memories.append(b"".join(word.to_bytes(4, "little") for word in words))
    return memories


async def loaded(rig: Rig, rng: random.Random, vm: Vm, **how: Any) -> bytes:
    """Load a packed image; return the measurement."""
    image, memories = make_image(rng, vm, rig.root_key, **how)
    check_loaded(await rig.load(image, vm), vm, memories)
    return hashlib.sha256(b"".join(memories)).digest()


@cocotb.test(timeout_time=10, timeout_unit="ms")
async def saved_images_are_the_vm(dut: Any) -> None:
    """A saved image is, byte for byte, what the contract says; it can be loaded again."""
    rig, rng = await start(dut, epoch=EPOCH, config=SMALL)
    vm = Vm(x=1, y=1, width=2, height=1, slot=8)
    rig.lane_pause, rig.store_pause, rig.saved_pause = 0.2, 0.7, 0.3
    measurement = await loaded(rig, rng, vm, security_version=7, migrate=True)
    assert rig.row(IDENTITY) == (7, 0)
    memories = fill(rig, rng, vm)
    outcome = await rig.save(vm)
    assert outcome.result is Result.OK, outcome.result
    expected = seal(
        memories,
        width=2,
        height=1,
        root_key=rig.root_key,
        number=save_number(EPOCH, 1),
        flags=Flags.MIGRATE,
        identity=IDENTITY,
        security_version=7,
        generation=1,
        measurement=measurement,
    )
    assert outcome.image[:HEADER] == expected[:HEADER]
    assert outcome.image == expected
    assert rig.row(IDENTITY) == (7, 1)
    # The row was there before the first word of the tag was.
    assert outcome.row_at is not None
    assert outcome.row_at <= len(outcome.saved) - 4

    other = Vm(x=0, y=2, width=2, height=1, slot=2)
    again = await rig.load(outcome.image, other)
    check_loaded(again, other, memories)
    assert again.resumed
    assert rig.row(IDENTITY) == (7, 1)
    # Restored somewhere else, and saved from there: the measurement is that of the first launch.
    for cluster, source in zip(other.indices, vm.indices, strict=True):
        rig.memories[cluster] = rig.memories[source]
    second = await rig.save(other)
    assert second.result is Result.OK
    header = unpack(second.image, root_key=rig.root_key).header
    assert header.measurement == measurement
    assert header.generation == 2
    assert header.nonce == save_number(EPOCH, 2)


@cocotb.test(timeout_time=10, timeout_unit="ms")
async def earlier_states_are_refused(dut: Any) -> None:
    """IMAGE_OLD for earlier generations and versions; a packed image starts afresh."""
    rig, rng = await start(dut, epoch=1, config=SMALL)
    packed, contents = make_image(rng, ONE, rig.root_key, size=32, security_version=2)
    check_loaded(await rig.load(packed, ONE), ONE, contents)
    fill(rig, rng, ONE)
    first, second = await rig.save(ONE), await rig.save(ONE)
    assert [first.result, second.result] == [Result.OK, Result.OK]
    refused = await rig.load(first.image, ONE)
    assert refused.result is Result.IMAGE_OLD
    assert not refused.writes
    assert not refused.resumed
    assert (await rig.load(second.image, ONE)).result is Result.OK
    restarted = await rig.load(packed, ONE)
    assert restarted.result is Result.OK
    assert not restarted.resumed
    assert rig.row(IDENTITY) == (2, 2)
    assert (await rig.load(second.image, ONE)).result is Result.OK

    old, _ = make_image(rng, ONE, rig.root_key, security_version=1)
    assert (await rig.load(old, ONE)).result is Result.IMAGE_OLD
    new, _ = make_image(rng, ONE, rig.root_key, security_version=3)
    forged = flip(new, 8 * len(new) - 1)
    assert (await rig.load(forged, ONE)).result is Result.IMAGE_TAG
    assert rig.row(IDENTITY) == (2, 2), "an image that was refused changes no row"
    assert (await rig.load(new, ONE)).result is Result.OK
    assert rig.row(IDENTITY) == (3, 2)
    assert (await rig.load(second.image, ONE)).result is Result.IMAGE_OLD
    # Another machine, which has seen nothing of this.
    second_key = rng.randbytes(32)
    migrating, _ = make_image(rng, ONE, rig.root_key, size=32, security_version=3, migrate=True)
    assert (await rig.load(migrating, ONE)).result is Result.OK
    third = await rig.save(ONE)
    moved = rewrap(third.image, root_key=rig.root_key, new_root_key=second_key)
    assert (await rig.load(moved, ONE)).result is Result.IMAGE_KEY
    rig.root_key, rig.store = second_key, [0] * CONFIG.store_rows
    await rig.reset(epoch=1)
    arrived = await rig.load(moved, ONE)
    assert arrived.result is Result.OK
    assert arrived.resumed
    assert rig.row(IDENTITY) == (3, 3)
    assert (await rig.load(third.image, ONE)).result is Result.IMAGE_TAG, "its key is derived"


@cocotb.test(timeout_time=10, timeout_unit="ms")
async def save_numbers_are_never_used_twice(dut: Any) -> None:
    """NO_NONCE without an epoch; counts move on over saves that fail, and begin anew per epoch."""
    rig, rng = await start(dut, config=SMALL)
    await loaded(rig, rng, ONE)
    fill(rig, rng, ONE)
    refused = await rig.save(ONE)
    assert refused.result is Result.NO_NONCE
    assert not refused.saved
    assert refused.commands == 0
    assert rig.row(IDENTITY) is None
    numbers = []
    for epoch in (5, 6):
        await rig.reset(epoch=epoch)
        assert (await rig.save(ONE, abort_after=900)).result is Result.ABORTED
        assert (await rig.save(ONE, refuse=9)).result is Result.CLUSTER_FAULT
        outcome = await rig.save(ONE)
        assert outcome.result is Result.OK
        header = unpack(outcome.image, root_key=rig.root_key).header
        numbers.append(header.nonce)
    assert numbers == [save_number(5, 3), save_number(6, 3)], f"save numbers {numbers}"


@cocotb.test(timeout_time=10, timeout_unit="ms")
async def a_full_store_refuses_new_identities(dut: Any) -> None:
    """STORE_FULL for an identity without a row when all are used, and for a save of such a VM."""
    rig, rng = await start(dut, epoch=1, config=SMALL)
    used = {"size": 16, "security_version": 1}
    for n in range(CONFIG.store_rows):
        image, _ = make_image(rng, ONE, rig.root_key, identity=bytes([n + 1] * 16), **used)
        assert (await rig.load(image, ONE)).result is Result.OK
        assert rig.row(bytes([n + 1] * 16)) == (1, 0)
    # Version 0, never saved: no row would tell more than no row does.
    image, _ = make_image(rng, ONE, rig.root_key, size=16)
    full = list(rig.store)
    assert (await rig.load(image, ONE)).result is Result.OK
    assert rig.store == full
    image, _ = make_image(rng, ONE, rig.root_key, **used)
    refused = await rig.load(image, ONE)
    assert refused.result is Result.STORE_FULL
    assert not refused.writes
    for n in (0, CONFIG.store_rows - 1):
        image, _ = make_image(rng, ONE, rig.root_key, identity=bytes([n + 1] * 16), **used)
        assert (await rig.load(image, ONE)).result is Result.OK
    # The row of the VM that is loaded went to another; then its generations are used up.
    last, rig.store[-1] = rig.store[-1], rig.store[0]
    fill(rig, rng, ONE)
    refused = await rig.save(ONE)
    assert refused.result is Result.STORE_FULL
    assert not refused.saved
    newest, _ = make_image(
        rng,
        ONE,
        rig.root_key,
        identity=bytes([CONFIG.store_rows] * 16),
        size=16,
        security_version=9,
    )
    for generation, result in ((2**32 - 1, Result.STORE_FULL), (2**32 - 2, Result.OK)):
        row = STORE_ROW.from_bits(last)
        rig.store[-1] = STORE_ROW.const(
            {"identity": row.identity, "version": 9, "generation": generation, "valid": 1}
        ).as_bits()
        assert (await rig.load(newest, ONE)).result is Result.OK
        assert (await rig.save(ONE)).result is result
        assert STORE_ROW.from_bits(rig.store[-1]).version == 9


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def saves_can_be_given_up_at_any_time(dut: Any) -> None:
    """ABORT ends a save; whatever was given out of it cannot be loaded, and nothing is stuck."""
    rig, rng = await start(dut, epoch=1, config=SMALL)
    rig.saved_pause, rig.store_pause = 0.1, 0.5
    await loaded(rig, rng, ONE)
    fill(rig, rng, ONE)
    for n in range(12):
        before = rig.row(IDENTITY)
        outcome = await rig.save(ONE, abort_after=rng.randrange(40 if n % 2 else 1100))
        assert outcome.result is Result.ABORTED
        assert rig.row(IDENTITY) == before, "the row moves on just before the tag alone"
    # A hypervisor that takes no word gets no further than to the first.
    rig.saved_pause = 1.0
    outcome = await rig.save(ONE, abort_after=3000)
    assert outcome.result is Result.ABORTED
    assert not outcome.saved
    assert outcome.commands == 0
    assert rig.row(IDENTITY) is None
    rig.saved_pause = 0.1
    for n in range(12):
        outcome = await rig.save(ONE, refuse=rng.randrange(20) if n % 2 else SMALL.memory_words - n)
        assert outcome.result is Result.CLUSTER_FAULT
    outcome = await rig.save(ONE)
    assert (await rig.load(outcome.image, ONE)).result is Result.OK
    cut = outcome.image[:-16] + bytes(16)
    assert (await rig.load(cut, ONE)).result is Result.IMAGE_TAG


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def an_abort_never_lowers_a_row(dut: Any) -> None:
    """ABORT in each cycle around the write of the store's row, on a slow store."""
    rig, rng = await start(dut, epoch=1, config=SMALL)
    image, _ = make_image(rng, ONE, rig.root_key, size=16, security_version=5)
    fill(rig, rng, ONE)
    assert (await rig.load(image, ONE)).result is Result.OK
    cycles = {True: 0, False: 0}
    for saving in (True, False):
        outcome = await (rig.save(ONE) if saving else rig.load(image, ONE))
        assert outcome.result is Result.OK
        cycles[saving] = outcome.cycles
    rig.store_pause = 0.6
    results = set()
    for saving in (True, False):
        for early in range(-20, 60, 2):
            version, generation = rig.row(IDENTITY) or (0, 0)
            at = cycles[saving] - early
            outcome = await (
                rig.save(ONE, abort_after=at) if saving else rig.load(image, ONE, abort_after=at)
            )
            when = f"{'save' if saving else 'load'}, ABORT {early} cycles before its end"
            results.add(outcome.result)
            assert outcome.result in (Result.OK, Result.ABORTED), f"{when}: {outcome.result}"
            after = rig.row(IDENTITY) or (0, 0)
            assert after[0] == version == 5, f"{when}: the row's version is {after[0]}"
            assert after[1] in (generation, generation + saving), f"{when}: row {after}"
            if outcome.result is not Result.OK and not saving:
                assert (await rig.load(image, ONE)).result is Result.OK
    assert {Result.OK, Result.ABORTED} <= results
    # Whatever was given up, this VM is still the latest of its line.
    assert (await rig.save(ONE)).result is Result.OK


@cocotb.test(timeout_time=10, timeout_unit="ms")
async def an_older_state_does_not_become_the_newest(dut: Any) -> None:
    """Two slots with the same state: once one is saved, the other is old, and is not saved."""
    rig, rng = await start(dut, epoch=1, config=SMALL)
    other = Vm(x=ONE.x, y=ONE.y, width=ONE.width, height=ONE.height, slot=ONE.slot % CONFIG.vms + 1)
    image, _ = make_image(rng, ONE, rig.root_key, size=16, security_version=1)
    fill(rig, rng, ONE)
    for vm in (ONE, other):
        assert (await rig.load(image, vm)).result is Result.OK
    assert (await rig.save(ONE)).result is Result.OK
    refused = await rig.save(other)
    assert refused.result is Result.IMAGE_OLD
    assert not refused.saved
    assert refused.commands == 0
    assert (await rig.save(ONE)).result is Result.OK
    assert rig.row(IDENTITY) == (1, 2)
    # Loaded again, it is a restart, and its next save the next generation; then ONE is old.
    assert (await rig.load(image, other)).result is Result.OK
    assert (await rig.save(other)).result is Result.OK
    assert (await rig.save(ONE)).result is Result.IMAGE_OLD
    # So is a version that another slot's has overtaken.
    newer, _ = make_image(rng, ONE, rig.root_key, size=16, security_version=2)
    assert (await rig.load(newer, ONE)).result is Result.OK
    assert (await rig.save(other)).result is Result.IMAGE_OLD


@cocotb.test(timeout_time=10, timeout_unit="ms")
async def nothing_secret_is_left_behind_by_saves(dut: Any) -> None:
    """P7: after a save all signals, memories and save number excepted, are as after another VM's.

    Both are of the same size and identity; their contents and keys differ.
    """
    rig, rng = await start(dut, epoch=1, config=SMALL)
    await loaded(rig, rng, ONE)
    fill(rig, rng, ONE)
    assert (await rig.save(ONE, abort_after=1)).result is Result.ABORTED
    await ClockCycles(dut.clk, SCRUB)
    clean = dict(registers(dut))
    for ending in ({}, {"abort_after": 1000}, {"refuse": 77}):
        await rig.save(ONE, **ending)
        await ClockCycles(dut.clk, SCRUB)
        left = {name for name, value in registers(dut) if clean[name] != value}
        # The header, which is public, stays in its buffer; save number and row differ in it.
        left = {name for name in left if not any(part in name for part in ALLOWED)}
        assert not left, f"after {ending}: {sorted(left)}"


ALLOWED = (".numbers.",)
"""Paths of what may differ."""


@cocotb.test(timeout_time=10, timeout_unit="ms")
async def reports_tell_what_was_loaded(dut: Any) -> None:
    """A report is of the slot's record; a load that is asked for meanwhile waits."""
    rig, rng = await start(dut, epoch=1, config=SMALL)
    measurement = await loaded(rig, rng, ONE, security_version=4)
    nonce = rng.randbytes(32)
    dut.report__valid.value, dut.report__vm.value = 1, ONE.slot
    dut.report__nonce.value = int.from_bytes(nonce, "little")
    dut.report__words__ready.value = 1
    words: list[int] = []

    async def take() -> None:
        while len(words) < REPORT_WORDS:
            await RisingEdge(dut.clk)
            if dut.report__words__valid.value:
                words.append(int(dut.report__words__payload.value))
        dut.report__valid.value = 0

    taking = cocotb.start_soon(take())
    await ClockCycles(dut.clk, 100)
    assert not dut.busy.value
    image, memories = make_image(rng, ONE, rig.root_key, security_version=4)
    check_loaded(await rig.load(image, ONE), ONE, memories)
    assert taking.done(), "the load did not wait for the report"
    report = read_report(
        b"".join(word.to_bytes(4, "little") for word in words),
        key=report_key(rig.root_key),
    )
    assert report.measurement == measurement
    assert report.nonce == nonce
    assert report.security_version == 4
    assert (report.width, report.height, report.identity) == (1, 1, IDENTITY)
    assert report.machine == machine_identity(rig.root_key)
