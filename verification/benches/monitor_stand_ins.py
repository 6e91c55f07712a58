# SPDX-License-Identifier: Apache-2.0
"""The monitor in Amaranth's simulator, among stand-ins for everything around it."""

import random
from collections import deque
from typing import Any

from blindvisor.hdl.abi import Call, Result
from blindvisor.hdl.config import MachineConfig
from blindvisor.hdl.iocluster.guard import ROW
from blindvisor.hdl.iocluster.monitor import Monitor
from blindvisor.hdl.ionet.flits import lane_command
from blindvisor.sim import pysim
from blindvisor.verification.benches.monitor_rules import Clusters, Rules

__all__ = ["SMALL", "Bench"]

LATENCY = 4
SMALL = MachineConfig(
    name="test",
    width=3,
    height=2,
    vms=3,
    tty_channels=2,
    mailbox_channels=1,
    attest_channels=1,
)


class Bench:
    """The monitor among stand-ins for lane, clusters, loader and guard.

    Attributes
    ----------
    log : list
        (op, named, cluster, data) of every command of the lane.
    updates : list
        (channel, owner, guest channel, length of the log then) of every update of the guard.
    loader_result, loader_time, loader_ops
        What the loader says, after how many cycles, and the commands that it sends before.
    starts : list
        save, vm, x, y, width, height, length of every start of the loader.
    loader_wait, loader_resumed, words_waiting
        Cycles until the loader takes its start; what it says with ``done``; words of a saved image
        that the hypervisor has not taken then: one goes every fourth cycle, if ``taking``.
    """

    def __init__(self, config: MachineConfig = SMALL, seed: int = 0) -> None:
        self.config = config
        self.rng = random.Random(seed)
        self.dut = Monitor(config)
        self.rules = Rules(config)
        self.clusters = Clusters(config, self.rng)
        self.log: list[tuple[Any, ...]] = []
        self.updates: list[tuple[int, ...]] = []
        self.rows = [(0, 0)] * config.channels
        self.loader_result = Result.OK
        self.loader_time = 5
        self.loader_ops: list[Any] = []
        self.starts: list[list[int]] = []
        self.loader_wait = 0
        self.loader_resumed = False
        self.words_waiting = 0
        self.taking = True
        self.over = False

    async def stand_ins(self, ctx: Any) -> None:
        """Answer the monitor in every cycle, until the script is over."""
        dut, layout = self.dut, lane_command(self.config)
        replies, left, ops = deque(), None, deque()
        waited, waiting, now = 0, 0, 0
        while not self.over:
            ready = self.rng.random() < 0.5
            ctx.set(dut.lane.command.ready, ready)
            _, _, valid, payload, taken, update, start, abort, *place = await ctx.tick().sample(
                dut.lane.command.valid,
                dut.lane.command.payload.as_value(),
                dut.loader_lane.command.ready,
                dut.update,
                dut.load.start,
                dut.load.abort,
                dut.load.save,
                dut.load.vm,
                dut.load.x,
                dut.load.y,
                dut.load.width,
                dut.load.height,
                dut.load.length,
            )
            if valid and ready:
                command = layout.from_bits(payload)
                self.log.append((command.op, command.named, command.cluster, command.data))
                if command.named:
                    replies.append(
                        [LATENCY, *self.clusters.named(command.op, command.cluster, command.data)]
                    )
                else:
                    self.clusters.broadcast(command.op, command.data)
            for reply in replies:
                reply[0] -= 1
            ctx.set(dut.lane.reply_valid, 0)
            ctx.set(dut.lane.reply, {})
            if replies and replies[0][0] == 0:
                _, data, ok = replies.popleft()
                ctx.set(dut.lane.reply_valid, 1)
                ctx.set(dut.lane.reply, {"data": data, "ok": ok})

            if update.valid:
                self.rows[update.channel] = (update.row.owner, update.row.guest)
                self.updates.append(
                    (update.channel, update.row.owner, update.row.guest, len(self.log))
                )
                ctx.set(dut.rows, [ROW.const({"owner": o, "guest": g}) for o, g in self.rows])

            busy = ctx.get(dut.load.busy)
            if ctx.get(dut.load.done):
                ctx.set(dut.load.busy, 0)
            ctx.set(dut.load.done, 0)
            now += 1
            if waiting and self.taking and now % 4 == 0:
                waiting -= 1
                ctx.set(dut.saved_waiting, waiting != 0)
            if not ctx.get(dut.saved_opened):
                waiting = 0
                ctx.set(dut.saved_waiting, 0)
            if start and not busy:
                waited += 1
            if start and not busy and waited > self.loader_wait:
                left, ops, waited = self.loader_time, deque(self.loader_ops), 0
                self.starts.append(place)
                ctx.set(dut.load.busy, 1)
            elif ops:
                if taken and ctx.get(dut.loader_lane.command.valid):
                    ops.popleft()
                ctx.set(dut.loader_lane.command.valid, bool(ops))
                if ops:
                    ctx.set(dut.loader_lane.command.payload, layout.const(ops[0]))
            elif left is not None:
                left -= 1
                if left <= 0 or abort:
                    ctx.set(dut.load.done, 1)
                    ctx.set(dut.load.resumed, self.loader_resumed)
                    waiting = self.words_waiting if place[0] else 0
                    ctx.set(dut.saved_waiting, waiting != 0)
                    ctx.set(dut.load.result, Result.ABORTED if abort else self.loader_result)
                    left = None

    def _begun(self, ctx: Any) -> bool:
        """Whether the loader has the lane."""
        return ctx.get(self.dut.calls.loading) or ctx.get(self.dut.calls.saving)

    async def call(
        self, ctx: Any, call: Call | int, *words: int, abort_after: int | None = None
    ) -> Result:
        """Make a call as soon as the monitor takes one; return its result."""
        dut = self.dut
        await ctx.tick().until(~dut.calls.busy)
        ctx.set(dut.calls.start, 1)
        ctx.set(dut.calls.command, getattr(call, "value", call))
        ctx.set(dut.calls.arguments, [*words, 0, 0, 0, 0, 0][:5])
        await ctx.tick()
        ctx.set(dut.calls.start, 0)
        # The words may change as soon as the command was written.
        ctx.set(dut.calls.command, self.rng.getrandbits(32))
        ctx.set(dut.calls.arguments, [self.rng.getrandbits(32) for _ in range(5)])
        if abort_after is not None:
            if abort_after:  # cycles after the load has begun; 0: right behind the call
                while not self._begun(ctx) and ctx.get(dut.calls.busy):
                    await ctx.tick()
                await ctx.tick().repeat(abort_after)
            ctx.set(dut.calls.abort, 1)
            await ctx.tick()
            ctx.set(dut.calls.abort, 0)
        if ctx.get(dut.calls.busy):
            while not ctx.get(dut.calls.ended):
                await ctx.tick()
            await ctx.tick()
        return Result(ctx.get(dut.calls.result))

    def values(self, ctx: Any) -> list[int]:
        """VALUE0..VALUE3."""
        return [ctx.get(self.dut.calls.values[n]) for n in range(4)]

    def owners(self, ctx: Any) -> list[int]:
        """The monitor's table, through the guard's window."""
        owners = []
        for cluster in range(self.config.clusters):
            ctx.set(self.dut.guard_cluster, cluster)
            owners.append(ctx.get(self.dut.guard_owner))
        return owners

    async def agree(self, ctx: Any, call: Call | int, *words: int, **how: Any) -> Result:
        """Make a call and compare everything with the rules."""
        words = (*words, 0, 0, 0, 0, 0)[:5]
        command = call.value if isinstance(call, Call) else call
        loader = Result.ABORTED if how.get("abort_after") is not None else self.loader_result
        expected = self.rules.call(command, words, loader)
        before = self.values(ctx)
        result = await self.call(ctx, command, *words, **how)
        assert result is expected, (command, words)
        if command == Call.STATUS.value and expected is Result.OK:
            denied = 100 + words[1]
            assert self.values(ctx) == self.rules.values(
                words[0], words[1], self.clusters, denied
            ), words
        else:
            assert self.values(ctx) == before
        if command == Call.FAULT_CLEAR.value and expected is Result.OK:
            assert self.clusters.faults[words[0]] == (0, 0)
        self.compare(ctx)
        return result

    def compare(self, ctx: Any) -> None:
        """Owners, clusters, claims and channels are as the rules say."""
        assert self.owners(ctx) == self.rules.clusters
        assert self.clusters.owners == self.rules.clusters
        assert self.clusters.states == self.rules.cluster_states()
        assert self.rows == self.rules.channels
        for cluster, owner in enumerate(self.rules.clusters):
            rows = {
                guest: channel
                for channel, (holder, guest) in enumerate(self.rules.channels)
                if owner and holder == owner
            }
            assert self.clusters.rows[cluster] == rows
            if owner:
                slot = self.rules.slots[owner]
                claim = (slot.x, slot.y, slot.width - 1, slot.height - 1)
                assert self.clusters.origins[cluster] == claim

    def run(self, script: Any, deadline: int = 40_000) -> None:
        """Run ``script(ctx)`` to its end."""

        async def main(ctx):
            ctx.set(self.dut.denied, [100 + n for n in range(self.config.channels)])
            await script(ctx)
            self.over = True

        pysim.simulate(self.dut, main, self.stand_ins, deadline=deadline)
