# SPDX-License-Identifier: Apache-2.0
"""cocotb bench of the loader: images of the packing tool, and what an attacker makes of them.

``LOADER_FLIPS`` in the environment says how many bits of contents are flipped, one at a time.
"""

import os
import random
from collections.abc import Iterator
from itertools import combinations
from typing import Any

import cocotb
from cocotb.handle import HierarchyObject, LogicArrayObject, LogicObject
from cocotb.triggers import ClockCycles

from blindvisor.hdl.abi import Result
from blindvisor.sw.image.format import ImageError
from blindvisor.sw.image.pack import unpack
from blindvisor.verification.benches.loader_rig import (
    CONFIG,
    HEADER,
    TAG,
    Outcome,
    Vm,
    make_image,
    random_vm,
    start,
)

__all__ = ["check_loaded", "registers"]


SCRUB = 10  # cycles in which the hash overwrites its buffer


def expected(image: bytes, vm: Vm, root_key: bytes, *, length: int | None = None) -> Result:
    """Return what docs/interfaces.md says of a load that is neither aborted nor refused."""
    length = len(image) if length is None else length
    capacity = vm.width * vm.height * CONFIG.memory_bytes
    if length < HEADER + TAG or length % 16 or length - HEADER - TAG > capacity:
        return Result.IMAGE_SIZE
    flags = int.from_bytes(image[10:12], "little")
    fixed = ((0, b"BLNDVSR1" + b"\2\0"), (14, bytes(2)), (28, bytes(4)))
    for offset, right in (*fixed, (60, bytes(4)), (124, bytes(4))):
        if image[offset : offset + len(right)] != right:
            return Result.IMAGE_HEADER
    if flags not in (0, 1, 2, 3, 7):
        return Result.IMAGE_HEADER
    if not flags & 1 and any(image[24:28] + image[128:160]):
        return Result.IMAGE_HEADER
    size = int.from_bytes(image[16:20], "little")
    if image[12] != vm.width or image[13] != vm.height:
        return Result.IMAGE_SIZE
    if not 0 < size <= CONFIG.memory_bytes or size % 16:
        return Result.IMAGE_SIZE
    if length != HEADER + vm.width * vm.height * size + TAG:
        return Result.IMAGE_SIZE
    try:
        unpack(image, root_key=root_key)
    except ImageError as error:
        return error.result
    return Result.OK


def check_loaded(outcome: Outcome, vm: Vm, memories: list[bytes]) -> None:
    """The load ended well: these clusters were written, completely, and no other."""
    assert outcome.result is Result.OK, outcome.result
    assert sorted(outcome.writes) == sorted(vm.indices)
    for cluster, memory in zip(vm.indices, memories, strict=True):
        assert outcome.memory(cluster) == memory, f"cluster {cluster}"


@cocotb.test(timeout_time=5, timeout_unit="ms")
@cocotb.parametrize(staging_pause=[0.0, 0.6], lane_pause=[0.0, 0.6])
async def images_reach_their_clusters(dut: Any, staging_pause: float, lane_pause: float) -> None:
    """Good images are written word for word, at the rectangle's place, whatever the pauses."""
    rig, rng = await start(dut)
    rig.staging_pause, rig.lane_pause = staging_pause, lane_pause
    for vm in (
        Vm(x=0, y=0, width=1, height=1),
        Vm(x=3, y=2, width=1, height=1),
        Vm(x=1, y=1, width=2, height=2),
        Vm(x=0, y=1, width=4, height=1),
    ):
        image, memories = make_image(rng, vm, rig.root_key)
        outcome = await rig.load(image, vm)
        check_loaded(outcome, vm, memories)
        assert outcome.taken == len(image) // 4


def damaged(rng: random.Random, image: bytes, vm: Vm) -> Iterator[tuple[str, bytes, int]]:
    """Images that must be refused (name, image, length), and a few that need not be."""
    for length in (0, 16, HEADER, HEADER + TAG - 16, len(image) - 4, len(image) - 1):
        yield f"length {length}", image, length
    capacity = vm.width * vm.height * CONFIG.memory_bytes
    for length in (capacity + HEADER + TAG + 16, 2**32 - 16, 2**31):
        yield f"length {length}", image, length
    for length in range(0, len(image), 16):
        yield f"cut to {length} bytes", image[:length], length
    for extra in (bytes(16), image[-16:], image[HEADER:]):
        yield f"{len(extra)} bytes more", image + extra, len(image) + len(extra)
    yield "16 bytes less contents", image[:HEADER] + image[HEADER + 16 :], len(image) - 16
    yield "no contents", image[:HEADER] + image[-TAG:], HEADER + TAG
    for size in (0, 8, 24, CONFIG.memory_bytes + 16, 2**31, 2**32 - 16):
        changed = image[:16] + size.to_bytes(4, "little") + image[20:]
        yield f"{size} bytes per cluster", changed, len(image)
    for width, height in ((vm.height, vm.width), (vm.width + 16, vm.height), (0, vm.height)):
        changed = image[:12] + bytes((width, height)) + image[14:]
        yield f"{width} x {height}", changed, len(image)
    blocks = [image[n : n + 16] for n in range(HEADER, len(image) - TAG, 16)]
    for a, b in combinations(range(len(blocks)), 2):
        swapped = list(blocks)
        swapped[a], swapped[b] = blocks[b], blocks[a]
        yield (
            f"blocks {a}, {b} swapped",
            image[:HEADER] + b"".join(swapped) + image[-TAG:],
            len(image),
        )


def flip(image: bytes, bit: int) -> bytes:
    """Return the image with one bit changed."""
    changed = bytearray(image)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def damaged_images_are_refused(dut: Any) -> None:
    """Each kind of damage gets its result, writes nowhere else, and leaves the loader usable."""
    rig, rng = await start(dut)
    vm = Vm(x=1, y=1, width=2, height=1)
    image, memories = make_image(rng, vm, rig.root_key, size=32)
    for name, changed, length in damaged(rng, image, vm):
        right = expected(changed, vm, rig.root_key, length=length)
        assert right is not Result.OK, name
        outcome = await rig.load(changed, vm, length=length)
        assert outcome.result is right, f"{name}: {outcome.result}, not {right}"
        assert set(outcome.writes) <= set(vm.indices), name
        assert outcome.taken <= length // 4, name
        if right is not Result.IMAGE_TAG:
            assert not outcome.writes, name
        if length % 16 or not HEADER + TAG <= length < 2**20:
            assert outcome.taken == 0, name
    check_loaded(await rig.load(image, vm), vm, memories)


def flipped(rng: random.Random, image: bytes) -> Iterator[tuple[str, bytes]]:
    """The image with one bit changed: every bit of header and tag, a sample of the contents."""
    for bit in range(8 * HEADER):
        yield f"header bit {bit}", flip(image, bit)
    for bit in range(8 * (len(image) - TAG), 8 * len(image)):
        yield f"tag bit {bit}", flip(image, bit)
    contents = range(8 * HEADER, 8 * (len(image) - TAG))
    for bit in rng.sample(contents, int(os.environ.get("LOADER_FLIPS") or 40)):
        yield f"contents bit {bit}", flip(image, bit)


@cocotb.test(timeout_time=60, timeout_unit="ms")
async def every_bit_counts(dut: Any) -> None:
    """An image with any single bit changed is refused, and the loader is ready for the next."""
    rig, rng = await start(dut)
    vm = Vm(x=2, y=1, width=1, height=1)
    flips = int(os.environ.get("LOADER_FLIPS") or 40)
    image, memories = make_image(rng, vm, rig.root_key, size=16 * (1 + flips // 128))
    for name, changed in flipped(rng, image):
        right = expected(changed, vm, rig.root_key)
        assert right is not Result.OK, name
        outcome = await rig.load(changed, vm)
        assert outcome.result is right, f"{name}: {outcome.result}, not {right}"
        assert set(outcome.writes) <= set(vm.indices), name
        assert right is Result.IMAGE_TAG or not outcome.writes, name
    check_loaded(await rig.load(image, vm), vm, memories)


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def keys_of_other_machines_are_refused(dut: Any) -> None:
    """An image for another device, and one whose rectangle is another, are refused."""
    rig, rng = await start(dut)
    vm = Vm(x=0, y=0, width=2, height=1)
    image, _ = make_image(rng, vm, bytes(32))
    assert (await rig.load(image, vm)).result is Result.IMAGE_KEY
    image, memories = make_image(rng, vm, rig.root_key)
    turned = Vm(x=0, y=0, width=1, height=2)
    assert (await rig.load(image, turned)).result is Result.IMAGE_SIZE
    check_loaded(await rig.load(image, vm), vm, memories)


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def loads_can_be_given_up_at_any_time(dut: Any) -> None:
    """ABORT while running, paused or starved ends with ABORTED; a refusing cluster with a fault."""
    rig, rng = await start(dut)
    aborted = 0
    for n in range(60):
        rig.staging_pause, rig.lane_pause = rng.choice([0.0, 0.5]), rng.choice([0.0, 0.5])
        vm = random_vm(rng)
        image, memories = make_image(rng, vm, rig.root_key)
        if n % 3 == 0:
            after = rng.randrange(600)
            outcome = await rig.load(image, vm, abort_after=after)
            assert outcome.result is (Result.ABORTED if outcome.cycles > after + 1 else Result.OK)
            aborted += outcome.result is Result.ABORTED
        elif n % 3 == 1:
            cut = 4 * rng.randrange(len(image) // 4)
            outcome = await rig.load(image[:cut], vm, length=len(image), abort_after=2500)
            assert outcome.result is Result.ABORTED
            assert outcome.taken == cut // 4
        else:
            commands = len(vm.indices) + sum(map(len, memories)) // 4
            outcome = await rig.load(image, vm, refuse=rng.randrange(commands))
            assert outcome.result is Result.CLUSTER_FAULT
        if n % 6 == 0:
            check_loaded(await rig.load(image, vm), vm, memories)
    assert aborted > 10


def registers(scope: Any) -> Iterator[tuple[str, int]]:
    """Every signal of the design and its value, memories excepted."""
    for handle in scope:
        if isinstance(handle, HierarchyObject):
            yield from registers(handle)
        elif isinstance(handle, LogicObject | LogicArrayObject):
            yield handle._path, int(handle.value)


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def nothing_secret_is_left_behind(dut: Any) -> None:
    """P7: after a load all signals are as if it had ended before the first use of a key.

    The header stays in its buffer, so the comparison is with a load of the same image that was
    given up when the header had been taken.
    """
    rig, rng = await start(dut)
    vm = Vm(x=0, y=0, width=1, height=1)
    image, _ = make_image(rng, vm, rig.root_key)
    given_up = await rig.load(image[:HEADER], vm, length=len(image) + 16, abort_after=500)
    assert given_up.result is Result.IMAGE_SIZE
    await ClockCycles(dut.clk, SCRUB)
    clean = dict(registers(dut))
    assert len(clean) > 300
    endings: dict[str, dict[str, Any]] = {
        "OK": {},
        "IMAGE_TAG": {"image": flip(image, 8 * len(image) - 1)},
        "ABORTED": {"abort_after": 200},
        "CLUSTER_FAULT": {"refuse": 3},
    }
    for result, arguments in endings.items():
        outcome = await rig.load(**({"image": image, "vm": vm} | arguments))
        assert outcome.result is Result[result]
        await ClockCycles(dut.clk, SCRUB)
        left = {name for name, value in registers(dut) if clean[name] != value}
        assert not left, f"after {result}: {sorted(left)}"


@cocotb.test(timeout_time=5, timeout_unit="ms")
async def the_lane_is_kept_busy(dut: Any) -> None:
    """A whole load of one full cluster, header and tag included, has 95 % of the lane's rate."""
    rig, rng = await start(dut)
    vm = Vm(x=2, y=0, width=1, height=1)
    image, memories = make_image(rng, vm, rig.root_key, size=CONFIG.memory_bytes)
    outcome = await rig.load(image, vm)
    check_loaded(outcome, vm, memories)
    limit = 2 * CONFIG.memory_words
    cocotb.log.info("%d cycles, lane's limit %d", outcome.cycles, limit)
    assert limit / outcome.cycles >= 0.95
