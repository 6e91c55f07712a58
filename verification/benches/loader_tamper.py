# SPDX-License-Identifier: Apache-2.0
"""cocotb bench: a hypervisor that changes its mind while the loader works.

Pieces of an image in another order or twice, staging rewritten while it is read, a second call
during a load, power-on in the middle. After each the loader takes a good image.
"""

import random
from typing import Any

import cocotb
from cocotb.triggers import ClockCycles, FallingEdge, RisingEdge

from blindvisor.hdl.abi import Result
from blindvisor.sw.image.format import Flags
from blindvisor.sw.image.keys import save_number
from blindvisor.sw.image.pack import rewrap, seal
from blindvisor.verification.benches.loader import SCRUB, check_loaded, flip, registers
from blindvisor.verification.benches.loader_rig import HEADER, TAG, Rig, Vm, make_image, start

__all__ = ["PIECE"]

PIECE = 64
"""Bytes of contents that are moved at once."""


def rearranged(image: bytes, other: bytes) -> dict[str, bytes]:
    """Images whose pieces are all genuine, and in the wrong place."""
    head, tag = image[:HEADER], image[-TAG:]
    pieces = [image[n : n + PIECE] for n in range(HEADER, len(image) - TAG, PIECE)]
    half = len(pieces) // 2
    return {
        "two pieces swapped": head + b"".join((pieces[1], pieces[0], *pieces[2:])) + tag,
        "two clusters swapped": head + b"".join(pieces[half:] + pieces[:half]) + tag,
        "a piece replayed": head + b"".join((pieces[0], pieces[0], *pieces[2:])) + tag,
        "the last piece replayed": head + b"".join((*pieces[:-1], pieces[-2])) + tag,
        "the header replayed": head + (head + b"".join(pieces))[: len(image) - HEADER - TAG] + tag,
        "contents of another image": head + other[HEADER:-TAG] + tag,
        "a piece of another image": head + other[HEADER:][:PIECE] + b"".join(pieces[1:]) + tag,
        "tag of another image": image[:-TAG] + other[-TAG:],
        "header of another image": other[:HEADER] + image[HEADER:],
    }


@cocotb.test(timeout_time=10, timeout_unit="ms")
async def pieces_have_their_place(dut: Any) -> None:
    """Pieces that are swapped, replayed or from another image of the same VM are refused."""
    rig, rng = await start(dut)
    vm = Vm(x=1, y=0, width=2, height=1)
    image, memories = make_image(rng, vm, rig.root_key, size=4 * PIECE)
    other, _ = make_image(rng, vm, rig.root_key, size=4 * PIECE)
    for name, changed in rearranged(image, other).items():
        assert len(changed) == len(image), name
        assert changed != image, name
        outcome = await rig.load(changed, vm)
        assert outcome.result is Result.IMAGE_TAG, f"{name}: {outcome.result}"
        assert set(outcome.writes) <= set(vm.indices), name
        check_loaded(await rig.load(image, vm), vm, memories)


@cocotb.test(timeout_time=10, timeout_unit="ms")
async def images_of_two_vms_do_not_mix(dut: Any) -> None:
    """Nothing of one VM's image is taken for another VM's of the same machine."""
    rig, rng = await start(dut)
    vm = Vm(x=1, y=0, width=2, height=1)
    image, memories = make_image(rng, vm, rig.root_key, size=2 * PIECE)
    other, _ = make_image(rng, vm, rig.root_key, size=2 * PIECE, identity=rng.randbytes(16))
    parts = {
        "identity": (32, 48, Result.IMAGE_KEY),
        "nonce of the key": (48, 64, Result.IMAGE_KEY),
        "wrapped key": (64, 96, Result.IMAGE_KEY),
        "key and its tag": (64, 112, Result.IMAGE_KEY),
        "key with all that it needs": (32, 112, Result.IMAGE_TAG),
        "nonce of the contents": (112, 128, Result.IMAGE_TAG),
        "header": (0, HEADER, Result.IMAGE_TAG),
        "contents": (HEADER, len(image) - TAG, Result.IMAGE_TAG),
        "contents and their tag": (HEADER, len(image), Result.IMAGE_TAG),
        "tag": (len(image) - TAG, len(image), Result.IMAGE_TAG),
    }
    for name, (begin, end, result) in parts.items():
        outcome = await rig.load(image[:begin] + other[begin:end] + image[end:], vm)
        assert outcome.result is result, f"another VM's {name}: {outcome.result}"
        assert set(outcome.writes) <= set(vm.indices), name
    check_loaded(await rig.load(image, vm), vm, memories)


@cocotb.test(timeout_time=10, timeout_unit="ms")
async def whole_tags_are_compared(dut: Any) -> None:
    """Each byte of both tags counts, the last as much as the first."""
    rig, rng = await start(dut)
    vm = Vm(x=0, y=0, width=1, height=1)
    image, memories = make_image(rng, vm, rig.root_key, size=16)
    for first, result in ((96, Result.IMAGE_KEY), (len(image) - TAG, Result.IMAGE_TAG)):
        for byte in range(first, first + TAG):
            outcome = await rig.load(flip(image, 8 * byte + rng.randrange(8)), vm)
            assert outcome.result is result, f"byte {byte}: {outcome.result}"
    check_loaded(await rig.load(image, vm), vm, memories)


async def rewrite(rig: Rig) -> None:
    """Change the word that is offered in every cycle in which the loader does not take it."""
    dut = rig.dut
    while True:
        await FallingEdge(dut.clk)
        if not (dut.staging__valid.value and dut.staging__ready.value):
            dut.staging__payload.value = rig.rng.getrandbits(32)


@cocotb.test(timeout_time=10, timeout_unit="ms")
async def a_word_is_fetched_once(dut: Any) -> None:
    """Staging rewritten while it is read changes nothing."""
    rig, rng = await start(dut)
    vm = Vm(x=2, y=1, width=1, height=1)
    image, memories = make_image(rng, vm, rig.root_key, size=2 * HEADER)
    writer = cocotb.start_soon(rewrite(rig))
    for pause in (0.0, 0.6):
        rig.staging_pause = pause
        outcome = await rig.load(image, vm)
        check_loaded(outcome, vm, memories)
        assert outcome.taken == len(image) // 4
    writer.cancel()


@cocotb.test(timeout_time=10, timeout_unit="ms")
async def a_header_is_not_fetched_again(dut: Any) -> None:
    """What follows the header is contents: the genuine header behind a changed one saves nothing.

    Of a state that was moved here the measurement is under the tag of the contents alone. Whoever
    could have it fetched twice would have a report of another measurement.
    """
    rig, rng = await start(dut)
    vm = Vm(x=2, y=1, width=1, height=1)
    memories = [rng.randbytes(2 * HEADER)]
    saved = seal(
        memories,
        width=1,
        height=1,
        root_key=bytes(32),
        number=save_number(1, 1),
        flags=Flags.MIGRATE,
        identity=bytes(range(16)),
        security_version=0,
        generation=1,
        measurement=rng.randbytes(32),
    )
    image = rewrap(saved, root_key=bytes(32), new_root_key=rig.root_key)
    changed = flip(image[:HEADER], 8 * 128 + rng.randrange(256))
    for name, served in (("another", changed + image), ("the same", image[:HEADER] + image)):
        outcome = await rig.load(served, vm, length=len(image))
        assert outcome.result is Result.IMAGE_TAG, f"{name} header first: {outcome.result}"
        assert outcome.taken == len(image) // 4, name
    check_loaded(await rig.load(image, vm), vm, memories)


async def call_again(rig: Rig, rng: random.Random) -> None:
    """Start other loads, with another key, at random times while one is running."""
    dut = rig.dut
    while True:
        await ClockCycles(dut.clk, rng.randint(2, 40))
        if not dut.busy.value:
            continue
        dut.root_key.value = rng.getrandbits(256)
        for name, bits in (("x", 2), ("y", 1), ("width", 1), ("height", 1), ("length", 10)):
            getattr(dut, name).value = rng.getrandbits(bits)
        await FallingEdge(dut.clk)
        dut.start.value = int(dut.busy.value) and not dut.done.value
        await RisingEdge(dut.clk)
        dut.start.value = 0


@cocotb.test(timeout_time=10, timeout_unit="ms")
async def a_second_call_changes_nothing(dut: Any) -> None:
    """What is started while a load runs is ignored, arguments and key included."""
    rig, rng = await start(dut)
    vm = Vm(x=1, y=1, width=2, height=1)
    image, memories = make_image(rng, vm, rig.root_key, size=256)
    for _ in range(4):
        caller = cocotb.start_soon(call_again(rig, rng))
        outcome = await rig.load(image, vm)
        caller.cancel()
        dut.start.value = 0
        dut.root_key.value = int.from_bytes(rig.root_key, "little")
        check_loaded(outcome, vm, memories)
        await ClockCycles(dut.clk, 3)
        assert not dut.busy.value


@cocotb.test(timeout_time=10, timeout_unit="ms")
async def power_on_in_the_middle_leaves_nothing(dut: Any) -> None:
    """P7, P8: after a reset at any time the loader is idle, holds no secret and loads as before."""
    rig, rng = await start(dut)
    vm = Vm(x=0, y=1, width=1, height=1)
    image, memories = make_image(rng, vm, rig.root_key, size=256)
    # the header, which is public, is in its buffer from here on
    check_loaded(await rig.load(image, vm), vm, memories)
    others = ("saved__ready", "store__request__ready", "store__response")
    for name in others:
        getattr(dut, name).value = 0
    await ClockCycles(dut.clk, SCRUB)
    clean = dict(registers(dut))
    for _ in range(12):
        load = cocotb.start_soon(rig.load(image, vm))
        await ClockCycles(dut.clk, rng.randint(3, 400))
        assert dut.busy.value
        load.cancel()
        for name in ("start", "abort", "staging__valid", "staging__payload"):
            getattr(dut, name).value = 0
        for name in ("lane__reply_valid", "lane__reply", "lane__command__ready", *others):
            getattr(dut, name).value = 0
        dut.root_key.value = int.from_bytes(rig.root_key, "little")
        dut.rst.value = 1
        await RisingEdge(dut.clk)
        dut.rst.value = 0
        await ClockCycles(dut.clk, SCRUB)
        assert not dut.busy.value
        assert not dut.lane__command__valid.value
        left = {name for name, value in registers(dut) if clean[name] != value}
        assert not left, sorted(left)
        check_loaded(await rig.load(image, vm), vm, memories)
