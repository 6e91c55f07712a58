# SPDX-License-Identifier: Apache-2.0
"""cocotb bench of the security monitor: random calls, against the rules of docs/interfaces.md."""

import random
from collections import deque
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge

from blindvisor.hdl.abi import Call, Result
from blindvisor.hdl.config import MachineConfig
from blindvisor.hdl.iocluster.guard import DENIED_WIDTH, ROW, UPDATE
from blindvisor.hdl.ionet.flits import LANE_REPLY, LaneOp, lane_command
from blindvisor.verification.benches.monitor_rules import Clusters, Rules, random_call

CONFIG = MachineConfig(
    name="bench",
    width=4,
    height=3,
    vms=4,
    tty_channels=3,
    mailbox_channels=2,
    attest_channels=1,
)
LONGEST_CALL = 6000
"""Cycles within which every call of this machine ends, with the slowest lane of this bench."""

FAILURES = (
    Result.IMAGE_HEADER,
    Result.IMAGE_SIZE,
    Result.IMAGE_KEY,
    Result.IMAGE_TAG,
    Result.IMAGE_OLD,
    Result.STORE_FULL,
    Result.NO_NONCE,
)


class Machine:
    """What surrounds the monitor: lane and clusters, guard, loader, register file."""

    def __init__(self, dut: Any, rng: random.Random, *, pause: float) -> None:
        self.dut = dut
        self.rng = rng
        self.pause = pause
        self.edge = RisingEdge(dut.clk)
        self.clusters = Clusters(CONFIG, rng)
        self.rows = [(0, 0)] * CONFIG.channels
        self.denied = [rng.getrandbits(DENIED_WIDTH) for _ in range(CONFIG.channels)]
        self.loader_result = Result.OK
        self.said = Result.OK
        self.commands = 0

    async def start(self) -> None:
        """Reset, then start everything."""
        dut = self.dut
        for name in (
            "lane__command__ready lane__reply lane__reply_valid loader_lane__command__valid"
            " load__resumed saved_waiting"
            " loader_lane__command__payload load__busy load__done load__result rows"
            " guard_cluster calls__start calls__command calls__arguments calls__abort"
        ).split():
            getattr(dut, name).value = 0
        dut.denied.value = sum(count << DENIED_WIDTH * n for n, count in enumerate(self.denied))
        Clock(dut.clk, 10, "ns").start()
        dut.rst.value = 1
        await ClockCycles(dut.clk, 2)
        dut.rst.value = 0
        for part in (self._lane, self._guard, self._loader):
            cocotb.start_soon(part())

    async def _lane(self) -> None:
        dut, layout = self.dut, lane_command(CONFIG)
        replies: deque[tuple[int, int, int]] = deque()
        now = 0
        while True:
            ready = self.rng.random() >= self.pause
            dut.lane__command__ready.value = ready
            await self.edge
            now += 1
            if ready and dut.lane__command__valid.value:
                self.commands += 1
                command = layout.from_bits(int(dut.lane__command__payload.value))
                op, cluster, word = LaneOp(command.op), int(command.cluster), int(command.data)
                if command.named:
                    due = now + self.rng.randint(1, 9)
                    if replies:
                        due = max(due, replies[-1][0] + 1)
                    replies.append((due, *self.clusters.named(op, cluster, word)))
                else:
                    self.clusters.broadcast(op, word)
            valid = bool(replies) and replies[0][0] <= now
            _, word, ok = replies.popleft() if valid else (0, 0, 0)
            dut.lane__reply_valid.value = valid
            dut.lane__reply.value = LANE_REPLY.const({"data": word, "ok": ok}).as_bits()

    async def _guard(self) -> None:
        while True:
            await self.edge
            update = UPDATE.from_bits(int(self.dut.update.value))
            if update.valid:
                self.rows[update.channel] = (update.row.owner, update.row.guest)
                self.dut.rows.value = sum(
                    ROW.const({"owner": owner, "guest": guest}).as_bits() << ROW.size * n
                    for n, (owner, guest) in enumerate(self.rows)
                )

    async def _loader(self) -> None:
        """Write some words to the first cluster, then say what the bench wants."""
        dut, layout = self.dut, lane_command(CONFIG)
        while True:
            await self.edge
            if not dut.load__start.value:
                continue
            for _ in range(self.rng.choice((0, 0, 9))):  # it makes a report
                await self.edge
            first = int(dut.load__y.value) * CONFIG.width + int(dut.load__x.value)
            dut.load__busy.value = 1
            await self.edge
            op = LaneOp.READ if dut.load__save.value else LaneOp.WRITE
            data = 0 if dut.load__save.value else 0xC0DE
            aborted = False
            for _ in range(self.rng.randrange(12)):
                dut.loader_lane__command__payload.value = layout.const(
                    {"op": op, "named": 1, "cluster": first, "data": data}
                ).as_bits()
                dut.loader_lane__command__valid.value = 1
                await self.edge
                while not dut.loader_lane__command__ready.value:
                    await self.edge
                dut.loader_lane__command__valid.value = 0
                aborted = aborted or bool(dut.load__abort.value)
                await ClockCycles(dut.clk, self.rng.randint(1, 3))
            dut.load__done.value = 1
            self.said = Result.ABORTED if aborted else self.loader_result
            dut.load__result.value = self.said.value
            await self.edge
            dut.load__done.value = 0
            dut.load__busy.value = 0
            dut.load__result.value = 0

    async def call(self, command: int, words: list[int], *, abort: bool) -> tuple[Result, bool]:
        """Make a call; return its result, and whether an abort reached a running load or save."""
        dut = self.dut
        dut.calls__start.value = 1
        dut.calls__command.value = command
        dut.calls__arguments.value = sum(word << 32 * n for n, word in enumerate(words))
        await self.edge
        dut.calls__start.value = 0
        # The hypervisor may write its registers while the call runs.
        dut.calls__command.value = self.rng.getrandbits(32)
        dut.calls__arguments.value = self.rng.getrandbits(160)
        lent = dut.calls__saving if command == Call.VM_SAVE.value else dut.calls__loading
        reached, opened, when = False, False, self.rng.randint(0, 40)
        for cycle in range(LONGEST_CALL):
            dut.calls__abort.value = abort and cycle == when
            await self.edge
            if abort and cycle == when:
                reached = bool(lent.value) or not opened
            opened = opened or bool(lent.value)
            if dut.calls__ended.value:
                break
        else:
            raise AssertionError(f"call {command} {words} must end within {LONGEST_CALL} cycles")
        dut.calls__abort.value = 0
        await self.edge
        return Result(int(dut.calls__result.value)), reached

    def values(self) -> list[int]:
        """VALUE0..VALUE3."""
        word = int(self.dut.calls__values.value)
        return [word >> 32 * n & 0xFFFFFFFF for n in range(4)]

    async def owners(self) -> list[int]:
        """The table of owners, as the channel guard sees it."""
        owners = []
        for cluster in range(CONFIG.clusters):
            self.dut.guard_cluster.value = cluster
            await self.edge
            owners.append(int(self.dut.guard_owner.value))
        return owners


@cocotb.test(timeout_time=20, timeout_unit="ms")
@cocotb.parametrize(pause=[0.0, 0.7], aborts=[False, True])
async def every_call_follows_the_rules(dut: Any, pause: float, aborts: bool) -> None:
    """Result, values, owners, clusters, claims and channel rows agree after each random call."""
    rng = random.Random(cocotb.RANDOM_SEED)
    rules = Rules(CONFIG)
    machine = Machine(dut, rng, pause=pause)
    await machine.start()
    await RisingEdge(dut.clk)
    while dut.calls__busy.value:
        await RisingEdge(dut.clk)

    seen: dict[Result, int] = {}
    for _ in range(400):
        command, words = random_call(rules, rng)
        machine.loader_result = Result.OK if rng.random() < 0.8 else rng.choice(FAILURES)
        if rng.random() < 0.2:
            machine.clusters.fault()
        before, commands = machine.values(), machine.commands
        result, aborted = await machine.call(command, words, abort=aborts and rng.random() < 0.5)
        # A load or save that failed before it heard of the abort keeps its own result.
        given_up = aborted and machine.said is Result.OK
        loader = Result.ABORTED if given_up else machine.said
        expected = rules.call(command, words, loader)
        assert result is expected, (command, words, result, expected)
        seen[result] = seen.get(result, 0) + 1

        if command == Call.STATUS.value and result is Result.OK:
            denied = machine.denied[words[1]] if words[0] == 3 else 0
            before = rules.values(words[0], words[1], machine.clusters, denied)
        assert machine.values() == before
        if Result.UNKNOWN_CALL.value <= result.value <= Result.BAD_ARGUMENT.value:
            assert machine.commands == commands, "a refused call must not speak to clusters"
        assert await machine.owners() == machine.clusters.owners == rules.clusters
        assert machine.clusters.states == rules.cluster_states()
        assert machine.rows == rules.channels
        for cluster, owner in enumerate(rules.clusters):
            granted = {guest: n for n, (vm, guest) in enumerate(rules.channels) if owner == vm}
            assert machine.clusters.rows[cluster] == (granted if owner else {})

    dut._log.info("results: %s", {result.name: count for result, count in seen.items()})
    assert len(seen) >= 12, seen
    assert (Result.ABORTED in seen) == aborts
