# SPDX-License-Identifier: Apache-2.0
"""What surrounds the loader in its benches: staging, clusters, the store, the hypervisor."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge

from blindvisor.hdl.abi import Result
from blindvisor.hdl.config import MachineConfig
from blindvisor.hdl.ionet.flits import LANE_REPLY, LaneOp, lane_command
from blindvisor.hdl.loader.store import STORE_ROW, store_request
from blindvisor.sw.image.format import HEADER_BYTES, TAG_BYTES
from blindvisor.sw.image.pack import pack

__all__ = ["CONFIG", "HEADER", "TAG", "Outcome", "Rig", "Vm", "make_image", "random_vm", "start"]

CONFIG = MachineConfig(name="bench", width=4, height=3, memory_bytes=16 * 1024)
HEADER = HEADER_BYTES
TAG = TAG_BYTES
LATENCY = 8  # cycles from a command to its reply


@dataclass(frozen=True, kw_only=True)
class Vm:
    """A rectangle of the machine, and its slot."""

    x: int
    y: int
    width: int
    height: int
    slot: int = 1

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
    """What one load or save did."""

    result: Result = Result.NONE
    resumed: bool = False
    cycles: int = 0
    taken: int = 0  # words of staging
    writes: dict[int, dict[int, int]] = field(default_factory=dict)  # cluster, word offset, word
    commands: int = 0
    saved: list[int] = field(default_factory=list)
    row_at: int | None = None  # words that were saved when a row of the store was written

    def memory(self, cluster: int) -> bytes:
        """What was written into a cluster, from word 0 without a gap."""
        words = self.writes[cluster]
        assert sorted(words) == list(range(len(words)))
        return b"".join(words[n].to_bytes(4, "little") for n in sorted(words))

    @property
    def image(self) -> bytes:
        """What was saved."""
        return b"".join(word.to_bytes(4, "little") for word in self.saved)


class Rig:
    """The loader with staging on one side and clusters on the other.

    Parameters
    ----------
    root_key : :class:`bytes`
        The device's.
    config : :class:`MachineConfig`
        :data:`CONFIG`, or with another size of memory.

    Attributes
    ----------
    store
        Rows, as numbers.
    memories
        Words of each cluster, for saves.
    """

    def __init__(self, dut: Any, *, root_key: bytes, config: MachineConfig = CONFIG) -> None:
        self.dut = dut
        self.config = config
        self.root_key = root_key
        self.rng = random.Random(cocotb.RANDOM_SEED)
        self.staging_pause = 0.0
        self.lane_pause = 0.0
        self.store_pause = 0.0
        self.saved_pause = 0.0
        self.store = [0] * CONFIG.store_rows
        self.memories: dict[int, Sequence[int]] = {}
        self.requests = 0  # of the store, that were taken
        self._request: int | None = None

    async def reset(self, *, epoch: int | None = None) -> None:
        """Start the clock, if it does not run, and reset with all inputs quiet: a power-on."""
        dut = self.dut
        for name in ("start", "save", "vm", "abort", "staging__valid", "staging__payload", "x"):
            getattr(dut, name).value = 0
        for name in ("y", "width", "height", "length", "lane__reply_valid", "lane__reply"):
            getattr(dut, name).value = 0
        for name in ("store__response", "store__request__ready", "saved__ready"):
            getattr(dut, name).value = 0
        for name in ("valid", "vm", "nonce", "cancel", "words__ready"):
            getattr(dut, f"report__{name}").value = 0
        dut.lane__command__ready.value = 0
        dut.epoch_valid.value = epoch is not None
        dut.epoch.value = epoch or 0
        dut.root_key.value = int.from_bytes(self.root_key, "little")
        self._request = None
        if not self._clocked:
            Clock(dut.clk, 10, "ns").start()
            self._clocked = True
        dut.rst.value = 1
        await ClockCycles(dut.clk, 2)
        dut.rst.value = 0
        await RisingEdge(dut.clk)

    _clocked = False

    def row(self, identity: bytes) -> tuple[int, int] | None:
        """Version and generation that the store has of an identity."""
        for bits in self.store:
            row = STORE_ROW.from_bits(bits)
            if row.valid and row.identity == int.from_bytes(identity, "little"):
                return row.version, row.generation
        return None

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
        length = len(image) if length is None else length
        words = [int.from_bytes(image[n : n + 4], "little") for n in range(0, len(image), 4)]
        return await self._run(
            vm,
            save=False,
            length=length,
            words=words,
            abort_after=abort_after,
            refuse=refuse,
            deadline=deadline,
        )

    async def save(
        self,
        vm: Vm,
        *,
        abort_after: int | None = None,
        refuse: int | None = None,
        deadline: int = 300_000,
    ) -> Outcome:
        """Save a VM whose clusters hold ``memories``."""
        return await self._run(
            vm,
            save=True,
            length=self.rng.getrandbits(32),  # means nothing
            words=[],
            abort_after=abort_after,
            refuse=refuse,
            deadline=deadline,
        )

    async def _run(
        self,
        vm: Vm,
        *,
        save: bool,
        length: int,
        words: list[int],
        abort_after: int | None,
        refuse: int | None,
        deadline: int,
    ) -> Outcome:
        dut = self.dut
        outcome = Outcome()
        dut.save.value, dut.vm.value = save, vm.slot
        dut.x.value, dut.y.value = vm.x, vm.y
        dut.width.value, dut.height.value = vm.width, vm.height
        dut.length.value = length
        dut.start.value = 1
        while True:
            await RisingEdge(dut.clk)
            if dut.busy.value:
                break
        dut.start.value = 0
        for name in ("save", "vm", "x", "y", "width", "height", "length", "root_key"):
            getattr(dut, name).value = 0  # sampled with start
        clusters = _Clusters(self, outcome, save=save, refuse=refuse)
        offered = False
        due: list[tuple[int, int]] = []
        for cycle in range(deadline):
            await RisingEdge(dut.clk)
            outcome.cycles = cycle + 1
            if offered and dut.staging__ready.value:
                outcome.taken += 1
                offered = False
            if dut.lane__command__valid.value and dut.lane__command__ready.value:
                reply = clusters.obey(int(dut.lane__command__payload.value))
                due.append((cycle + LATENCY, reply))
            if dut.saved__valid.value and dut.saved__ready.value:
                assert save
                outcome.saved.append(int(dut.saved__payload.value))
            self._serve_store(outcome)
            if dut.done.value:
                outcome.result = Result(int(dut.result.value))
                outcome.resumed = bool(dut.resumed.value)
                assert not due, "done before the last reply"
                assert self._request is None, "done before the store has answered"
                break
            assert dut.busy.value
            assert int(dut.result.value) == Result.NONE.value

            if not offered and outcome.taken < len(words):
                offered = self.rng.random() >= self.staging_pause
            dut.staging__valid.value = offered
            dut.staging__payload.value = words[outcome.taken] if offered else 0
            dut.saved__ready.value = self.rng.random() >= self.saved_pause
            dut.lane__command__ready.value = cycle % 2 and self.rng.random() >= self.lane_pause
            reply = due.pop(0)[1] if (replying := bool(due) and due[0][0] <= cycle) else 0
            dut.lane__reply_valid.value = replying
            dut.lane__reply.value = reply
            dut.abort.value = cycle == abort_after
        else:
            raise AssertionError(f"no end after {deadline} cycles")
        for name in ("staging__valid", "staging__payload", "lane__reply_valid", "abort"):
            getattr(dut, name).value = 0
        for name in ("lane__reply", "lane__command__ready", "saved__ready", "store__response"):
            getattr(dut, name).value = 0
        dut.root_key.value = int.from_bytes(self.root_key, "little")
        await RisingEdge(dut.clk)
        assert not dut.done.value
        assert not dut.busy.value
        return outcome

    def _serve_store(self, outcome: Outcome) -> None:
        """Take a request, or answer the one that was taken."""
        dut = self.dut
        if dut.store__request__valid.value and dut.store__request__ready.value:
            assert self._request is None, "the last request is not answered"
            self._request = int(dut.store__request__payload.value)
            self.requests += 1
        response = 0
        if self._request is not None and self.rng.random() >= self.store_pause:
            request = store_request(CONFIG).from_bits(self._request)
            assert request.index < CONFIG.store_rows
            if request.write:
                self.store[request.index] = request.row.as_bits()
                assert outcome.row_at is None, "a row is written once"
                outcome.row_at = len(outcome.saved)
            response = 1 | self.store[request.index] << 1
            self._request = None
        dut.store__response.value = response
        dut.store__request__ready.value = self.rng.random() >= self.store_pause


class _Clusters:
    """Obeys lane commands as clusters in LOADING do, or as such in FROZEN."""

    def __init__(self, rig: Rig, outcome: Outcome, *, save: bool, refuse: int | None) -> None:
        self.rig = rig
        self.outcome = outcome
        self.save = save
        self.refuse = refuse
        self.layout = lane_command(CONFIG)
        self.address: dict[int, int] = {}

    def obey(self, bits: int) -> int:
        """Return the reply."""
        command = self.layout.from_bits(bits)
        number = self.outcome.commands
        self.outcome.commands += 1
        assert command.named, "the loader must not broadcast"
        if number == self.refuse:
            return 0
        cluster, word = command.cluster, 0
        if command.op is LaneOp.ADDRESS:
            self.address[cluster] = command.data
        else:
            assert command.op is (LaneOp.READ if self.save else LaneOp.WRITE), command.op
            if cluster not in self.address:  # its ADDRESS was refused a few cycles ago
                assert self.refuse is not None
                return 0
            place = self.address[cluster]
            assert place < self.rig.config.memory_words
            self.address[cluster] = place + 1
            if self.save:
                assert command.data == 0
                word = self.rig.memories[cluster][place]
            else:
                self.outcome.writes.setdefault(cluster, {})[place] = command.data
        return LANE_REPLY.const({"ok": 1, "data": word}).as_bits()


def make_image(
    rng: random.Random, vm: Vm, root_key: bytes, *, size: int | None = None, **how: Any
) -> tuple[bytes, list[bytes]]:
    """Return an image of random contents, and these; ``how`` as for ``pack``."""
    size = 16 * rng.randint(1, 6) if size is None else size
    how = {"identity": bytes(range(16))} | how  # one: the store must not fill up
    memories = [rng.randbytes(size) for _ in vm.indices]
    image = pack(memories, width=vm.width, height=vm.height, root_key=root_key, **how)
    return image, memories


def random_vm(rng: random.Random) -> Vm:
    """Any rectangle of the mesh with up to four clusters, in any slot."""
    width, height = rng.choice([(1, 1), (2, 1), (1, 2), (2, 2), (4, 1), (1, 3)])
    return Vm(
        x=rng.randint(0, CONFIG.width - width),
        y=rng.randint(0, CONFIG.height - height),
        width=width,
        height=height,
        slot=rng.randint(1, CONFIG.vms),
    )


async def start(
    dut: Any, *, epoch: int | None = None, config: MachineConfig = CONFIG
) -> tuple[Rig, random.Random]:
    """Return the rig, out of reset, and a source of numbers."""
    rng = random.Random(cocotb.RANDOM_SEED)
    rig = Rig(dut, root_key=rng.randbytes(32), config=config)
    await rig.reset(epoch=epoch)
    return rig, rng
