# SPDX-License-Identifier: Apache-2.0
"""cocotb bench of the loader: images of the packing tool, and what an attacker makes of them.

``LOADER_FLIPS`` in the environment says how many bits of contents are flipped, one at a time.
"""

import os
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.handle import HierarchyObject, LogicArrayObject, LogicObject
from cocotb.triggers import ClockCycles, RisingEdge

from blindvisor.hdl.abi import Result
from blindvisor.hdl.config import MachineConfig
from blindvisor.hdl.ionet.flits import LANE_REPLY, LaneOp, lane_command
from blindvisor.sw.image.format import ImageError
from blindvisor.sw.image.pack import pack, unpack

__all__ = ["CONFIG"]

CONFIG = MachineConfig(name="bench", width=4, height=3, memory_bytes=16 * 1024)
HEADER = 128
TAG = 16
LATENCY = 8  # cycles from a command to its reply


@dataclass(frozen=True, kw_only=True)
class Vm:
    """A rectangle of the machine."""

    x: int
    y: int
    width: int
    height: int

    @property
    def indices(self) -> list[int]:
        """Clusters in the order of the image."""
        return [
            (self.y + gy) * CONFIG.width + self.x + gx
            for gy in range(self.height)
            for gx in range(self.width)
        ]


@dataclass(kw_only=True)
class Outcome:
    """What one load did."""

    result: Result = Result.NONE
    cycles: int = 0
    taken: int = 0  # words of staging
    writes: dict[int, dict[int, int]] = field(default_factory=dict)  # cluster, word offset, word

    def memory(self, cluster: int) -> bytes:
        """What was written into a cluster, from word 0 without a gap."""
        words = self.writes[cluster]
        assert sorted(words) == list(range(len(words)))
        return b"".join(words[n].to_bytes(4, "little") for n in sorted(words))


class Rig:
    """The loader with staging on one side and clusters in LOADING on the other."""

    def __init__(self, dut: Any, *, root_key: bytes) -> None:
        self.dut = dut
        self.root_key = root_key
        self.rng = random.Random(cocotb.RANDOM_SEED)
        self.staging_pause = 0.0
        self.lane_pause = 0.0

    async def reset(self) -> None:
        """Start the clock and reset, with all inputs quiet."""
        dut = self.dut
        for name in ("start", "abort", "staging__valid", "staging__payload", "x", "y", "width"):
            getattr(dut, name).value = 0
        for name in ("height", "length", "lane__reply_valid", "lane__reply"):
            getattr(dut, name).value = 0
        dut.lane__command__ready.value = 0
        dut.root_key.value = int.from_bytes(self.root_key, "little")
        Clock(dut.clk, 10, "ns").start()
        dut.rst.value = 1
        await ClockCycles(dut.clk, 2)
        dut.rst.value = 0
        await RisingEdge(dut.clk)

    async def load(
        self,
        image: bytes,
        vm: Vm,
        *,
        length: int | None = None,
        abort_after: int | None = None,
        refuse: int | None = None,
        deadline: int = 60_000,
    ) -> Outcome:
        """Load ``image``; be starved if it is shorter than ``length``.

        ``abort_after``: cycles until ABORT; ``refuse``: number of the command that the cluster
        answers with ``ok`` = 0.
        """
        dut = self.dut
        outcome = Outcome()
        words = [int.from_bytes(image[n : n + 4], "little") for n in range(0, len(image), 4)]
        dut.x.value, dut.y.value = vm.x, vm.y
        dut.width.value, dut.height.value = vm.width, vm.height
        dut.length.value = len(image) if length is None else length
        dut.start.value = 1
        await RisingEdge(dut.clk)
        dut.start.value = 0
        for name in ("x", "y", "width", "height", "length", "root_key"):
            getattr(dut, name).value = 0  # sampled with start
        cluster_end = _Clusters(outcome, refuse=refuse)
        offered = False
        due: list[tuple[int, int]] = []
        for cycle in range(deadline):
            await RisingEdge(dut.clk)
            outcome.cycles = cycle + 1
            if offered and dut.staging__ready.value:
                outcome.taken += 1
                offered = False
            if dut.lane__command__valid.value and dut.lane__command__ready.value:
                ok = cluster_end.obey(int(dut.lane__command__payload.value))
                due.append((cycle + LATENCY, ok))
            if dut.done.value:
                outcome.result = Result(int(dut.result.value))
                assert not due, "done before the last reply"
                break
            assert dut.busy.value
            assert int(dut.result.value) == Result.NONE.value

            if not offered and outcome.taken < len(words):
                offered = self.rng.random() >= self.staging_pause
            dut.staging__valid.value = offered
            dut.staging__payload.value = words[outcome.taken] if offered else 0
            dut.lane__command__ready.value = cycle % 2 and self.rng.random() >= self.lane_pause
            ok = due.pop(0)[1] if (replying := bool(due) and due[0][0] <= cycle) else 0
            dut.lane__reply_valid.value = replying
            dut.lane__reply.value = LANE_REPLY.const({"ok": ok}).as_bits()
            dut.abort.value = cycle == abort_after
        else:
            raise AssertionError(f"no end after {deadline} cycles")
        for name in ("staging__valid", "staging__payload", "lane__reply_valid", "abort"):
            getattr(dut, name).value = 0
        dut.lane__command__ready.value = 0
        dut.root_key.value = int.from_bytes(self.root_key, "little")
        await RisingEdge(dut.clk)
        assert not dut.done.value
        assert not dut.busy.value
        return outcome


class _Clusters:
    """Obeys lane commands as clusters in LOADING do."""

    def __init__(self, outcome: Outcome, *, refuse: int | None) -> None:
        self.outcome = outcome
        self.refuse = refuse
        self.layout = lane_command(CONFIG)
        self.address: dict[int, int] = {}
        self.count = 0

    def obey(self, bits: int) -> int:
        """Return whether the command is ``ok``."""
        command = self.layout.from_bits(bits)
        self.count += 1
        assert command.named, "the loader must not broadcast"
        if self.count - 1 == self.refuse:
            return 0
        cluster = command.cluster
        if command.op is LaneOp.ADDRESS:
            self.address[cluster] = command.data
        else:
            assert command.op is LaneOp.WRITE, command.op
            if cluster not in self.address:  # its ADDRESS was refused a few cycles ago
                assert self.refuse is not None
                return 0
            word = self.address[cluster]
            assert word < CONFIG.memory_words
            self.outcome.writes.setdefault(cluster, {})[word] = command.data
            self.address[cluster] = word + 1
        return 1


def expected(image: bytes, vm: Vm, root_key: bytes, *, length: int | None = None) -> Result:
    """Return what docs/interfaces.md says of a load that is neither aborted nor refused."""
    length = len(image) if length is None else length
    capacity = vm.width * vm.height * CONFIG.memory_bytes
    if length < HEADER + TAG or length % 16 or length - HEADER - TAG > capacity:
        return Result.IMAGE_SIZE
    fixed = ((0, b"BLNDVSR1" + b"\1\0" + bytes(2)), (14, bytes(2)), (24, bytes(8)))
    for offset, right in (*fixed, (60, bytes(4)), (124, bytes(4))):
        if image[offset : offset + len(right)] != right:
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


def make_image(
    rng: random.Random, vm: Vm, root_key: bytes, *, size: int | None = None
) -> tuple[bytes, list[bytes]]:
    """Return an image of random contents, and these."""
    size = 16 * rng.randint(1, 6) if size is None else size
    memories = [rng.randbytes(size) for _ in vm.indices]
    image = pack(memories, width=vm.width, height=vm.height, root_key=root_key)
    return image, memories


def check_loaded(outcome: Outcome, vm: Vm, memories: list[bytes]) -> None:
    """The load ended well: these clusters were written, completely, and no other."""
    assert outcome.result is Result.OK, outcome.result
    assert sorted(outcome.writes) == sorted(vm.indices)
    for cluster, memory in zip(vm.indices, memories, strict=True):
        assert outcome.memory(cluster) == memory, f"cluster {cluster}"


def random_vm(rng: random.Random) -> Vm:
    """Any rectangle of the mesh with up to four clusters."""
    width, height = rng.choice([(1, 1), (2, 1), (1, 2), (2, 2), (4, 1), (1, 3)])
    return Vm(
        x=rng.randint(0, CONFIG.width - width),
        y=rng.randint(0, CONFIG.height - height),
        width=width,
        height=height,
    )


async def start(dut: Any) -> tuple[Rig, random.Random]:
    """Return the rig, out of reset, and a source of numbers."""
    rng = random.Random(cocotb.RANDOM_SEED)
    rig = Rig(dut, root_key=rng.randbytes(32))
    await rig.reset()
    return rig, rng


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
