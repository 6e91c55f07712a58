# SPDX-License-Identifier: Apache-2.0
"""Cycle-exact model of the I/O network and random traffic for it, for any simulator."""

import random
from collections import defaultdict
from collections.abc import Sequence

from blindvisor.hdl.config import MachineConfig
from blindvisor.hdl.ionet.flits import (
    GRANT,
    IO_REQUEST,
    LANE_REPLY,
    LEAF_ANSWER,
    LEAF_COMMAND,
    REPLY_CYCLES,
    LaneOp,
    lane_command,
)
from blindvisor.hdl.ionet.tree import tree_depth

__all__ = ["LeafModel", "Traffic", "answer_to"]


def answer_to(cluster: int, request: int) -> int:
    """Return the answer that the bench's device gives, as the leaf shows it (LEAF_ANSWER).

    All of the request and of who asked is in it.
    """
    asked = IO_REQUEST.from_bits(request)
    mark = cluster | asked.channel << 8 | asked.register << 12 | asked.write << 16
    return (
        LEAF_ANSWER.const({"valid": 1, "error": asked.write, "data": asked.data ^ mark << 15})
        .as_value()
        .value
    )


class LeafModel:
    """What one leaf says and shows, by cycle. It knows nothing of any other leaf (P12).

    Cycles count from the end of the reset.
    """

    def __init__(self, config: MachineConfig, index: int) -> None:
        self.index = index
        self.depth = tree_depth(config)
        self.frame = 2 * config.clusters
        self.kept: int | None = None
        self.due: int | None = None
        self.interrupts = 0

    def own_slot(self, cycle: int) -> bool:
        """Whether the leaf sees its own slot."""
        return cycle >= self.depth and (cycle - self.depth) % self.frame == 2 * self.index

    def asks(self, cycle: int) -> bool:
        """Whether the request leaves."""
        return self.own_slot(cycle) and self.kept is not None and self.due is None

    def answer(self, cycle: int) -> int:
        """The answer that arrives, or 0."""
        if self.own_slot(cycle) and self.due is not None and cycle >= self.due:
            assert self.kept is not None
            return answer_to(self.index, self.kept)
        return 0

    def advance(
        self, cycle: int, *, offered: int | None, levels: Sequence[int], command: int
    ) -> None:
        """Move on to the next cycle.

        ``levels``: the cluster's interrupts, by cycle; ``command``: what arrives for it, or 0.
        """
        if self.own_slot(cycle):
            looked = cycle - self.depth - 1  # the root looks one cycle before it sends
            self.interrupts = levels[looked] if looked >= 0 else 0
        arrived = LEAF_COMMAND.from_bits(command)
        if arrived.valid and arrived.named and arrived.op == LaneOp.CHANNEL:
            # The channel's level before the change of its row must not outlive it.
            self.interrupts &= ~(1 << GRANT.from_bits(arrived.data).channel)
        if self.answer(cycle):
            self.kept = self.due = None
        elif self.asks(cycle):
            self.due = cycle + 2 * self.depth + 2
        elif self.kept is None:
            self.kept = offered


class Traffic:
    """Random inputs of an ``IoNetwork`` and the outputs that they must bring, cycle by cycle.

    Parameters
    ----------
    config : :class:`MachineConfig`
        The machine.
    seed : :class:`int`
        What a leaf is made to ask depends on this and its index alone.
    request_chance : sequence of :class:`float`
        By cluster: how likely an idle leaf offers a request in a cycle.
    command_chance : :class:`float`
        How likely the idle lane offers a command in a cycle.
    targets : sequence of :class:`int` or None
        Clusters to name in commands; ``None`` for a broadcast. A number past the last cluster
        names nobody: the reply must then be all zero.

    Notes
    -----
    Use :meth:`inputs`, :meth:`outputs`, :meth:`advance` in this order, once a cycle. Signals have
    the names that they have in Verilog.
    """

    def __init__(
        self,
        config: MachineConfig,
        *,
        seed: int,
        request_chance: Sequence[float],
        command_chance: float,
        targets: Sequence[int | None],
    ) -> None:
        self.config = config
        self.cycle = 0
        self.leaves = [LeafModel(config, index) for index in range(config.clusters)]
        self.answered = [0] * config.clusters
        self.replied = 0

        self._chances = request_chance
        self._rngs = [random.Random(f"{seed} leaf {leaf.index}") for leaf in self.leaves]
        self._offered: list[int | None] = [None] * config.clusters
        self._levels: list[list[int]] = [[] for _ in self.leaves]

        self._lane_rng = random.Random(f"{seed} lane")
        self._command_chance = command_chance
        self._targets = targets
        self._command: int | None = None
        # By cycle and leaf: commands that arrive, replies that the leaf gives and sends.
        self._arriving: dict[int, dict[int, int]] = defaultdict(dict)
        self._given: dict[int, dict[int, int]] = defaultdict(dict)
        self._sent: dict[int, list[int]] = defaultdict(list)
        self._due: dict[int, int] = {}

    def inputs(self) -> dict[str, int]:
        """Return the values of all inputs in this cycle."""
        values = {}
        levels = 0
        for leaf, rng in zip(self.leaves, self._rngs, strict=True):
            k = leaf.index
            if self._offered[k] is None and rng.random() < self._chances[k]:
                self._offered[k] = rng.getrandbits(IO_REQUEST.size)
            history = self._levels[k]
            changes = not history or rng.random() < 0.1
            history.append(rng.getrandbits(self.config.channels) if changes else history[-1])
            levels |= history[-1] << (k * self.config.channels)
            unasked = rng.getrandbits(LANE_REPLY.size)  # must go nowhere
            values |= {
                f"requests__{k}__valid": int(self._offered[k] is not None),
                f"requests__{k}__payload": self._offered[k] or 0,
                f"replies__{k}": self._given[self.cycle].get(k, unasked),
            }
        if self._command is None and self._lane_rng.random() < self._command_chance:
            self._command = self._make_command()
        return values | {
            "levels": levels,
            "lane__command__valid": int(self._command is not None),
            "lane__command__payload": self._command or 0,
        }

    def outputs(self) -> dict[str, int]:
        """Return the values that all outputs must have in this cycle."""
        values = {}
        busy = speaking = 0
        for leaf in self.leaves:
            k = leaf.index
            says = leaf.asks(self.cycle) or k in self._sent[self.cycle]
            busy |= (leaf.kept is not None) << k
            speaking |= says << k
            values |= {
                f"requests__{k}__ready": int(leaf.kept is None),
                f"answers__{k}": leaf.answer(self.cycle),
                f"interrupts__{k}": leaf.interrupts,
                f"commands__{k}": self._arriving[self.cycle].get(k, 0),
            }
        assert speaking.bit_count() <= 1, (
            f"the rule of the slots lets two leaves meet: {speaking:b}"
        )
        return values | {
            "busy": busy,
            "speaking": speaking,
            "lane__command__ready": self.cycle % 2,
            "lane__reply_valid": int(self.cycle in self._due),
            "lane__reply": self._due.get(self.cycle, 0),
        }

    def advance(self) -> None:
        """Move on to the next cycle."""
        for leaf in self.leaves:
            k = leaf.index
            offered = self._offered[k]
            if leaf.kept is None:
                self._offered[k] = None
            self.answered[k] += leaf.answer(self.cycle) != 0
            leaf.advance(
                self.cycle,
                offered=offered,
                levels=self._levels[k],
                command=self._arriving[self.cycle].get(k, 0),
            )
        self.replied += self.cycle in self._due
        if self._command is not None and self.cycle % 2:
            self._send(self._command)
            self._command = None
        self.cycle += 1

    def _make_command(self) -> int:
        target = self._lane_rng.choice(self._targets)
        command: dict[int | str, int | LaneOp] = {
            "data": self._lane_rng.getrandbits(32),
            "op": self._lane_rng.choice(list(LaneOp)),
            "named": int(target is not None),
            "cluster": self._lane_rng.randrange(self.config.clusters) if target is None else target,
        }
        return lane_command(self.config).const(command).as_value().value

    def _send(self, bits: int) -> None:
        command = lane_command(self.config).from_bits(bits)
        depth = tree_depth(self.config)
        arrives = self.cycle + depth
        shown: dict[int | str, int | LaneOp] = {
            "valid": 1,
            "named": command.named,
            "op": command.op,
            "data": command.data,
        }
        for leaf in self.leaves:
            if not command.named or command.cluster == leaf.index:
                self._arriving[arrives][leaf.index] = LEAF_COMMAND.const(shown).as_value().value
        if command.named:
            reply = 0
            if command.cluster < self.config.clusters:
                reply = self._lane_rng.getrandbits(LANE_REPLY.size)
                self._given[arrives + 1][command.cluster] = reply
                self._sent[arrives + REPLY_CYCLES].append(command.cluster)
            self._due[arrives + REPLY_CYCLES + depth] = reply
