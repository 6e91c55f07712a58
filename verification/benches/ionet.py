# SPDX-License-Identifier: Apache-2.0
"""cocotb bench of the whole I/O network: root, tree and leaves, through their Verilog."""

from typing import Any

import cocotb
from amaranth import Cat, Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, FallingEdge, ReadOnly

from blindvisor.hdl.config import MachineConfig
from blindvisor.hdl.ionet.flits import IO_REQUEST, LANE_REPLY, LEAF_ANSWER, LEAF_COMMAND
from blindvisor.hdl.ionet.lane import LaneUser
from blindvisor.hdl.ionet.node import IoNode
from blindvisor.hdl.ionet.root import IoRoot
from blindvisor.hdl.ionet.tree import IoTree
from blindvisor.verification.benches.ionet_model import Traffic

__all__ = ["IoNetwork", "line"]


def line(clusters: int) -> MachineConfig:
    """Return a machine of 1 to 16 clusters, few enough channels to keep the bench quick."""
    return MachineConfig(
        name=f"line{clusters}", width=clusters, height=1, tty_channels=1, mailbox_channels=2
    )


class IoNetwork(wiring.Component):
    """Root, tree and all leaves, with a device that answers as ``ionet_model.answer_to`` says.

    Parameters
    ----------
    config : :class:`MachineConfig`
        The machine.

    Members
    -------
    lane : :py:`In(LaneUser(config))`
        The root's port for the user of the monitor lane.
    levels : :py:`In(data.ArrayLayout(config.channels, config.clusters))`
        Interrupt levels by cluster.
    requests, answers, commands, replies, interrupts
        Ports of the leaves, by cluster.
    busy, speaking : :py:`Out(config.clusters)`
        By cluster: a request is under way; the leaf sends a flit in this cycle.
    """

    lane: Any
    levels: data.View
    requests: list[Any]
    answers: list[Any]
    commands: list[Any]
    replies: list[Any]
    interrupts: list[Any]
    busy: Signal
    speaking: Signal

    def __init__(self, config: MachineConfig) -> None:
        self.config = config
        clusters = config.clusters
        super().__init__(
            {
                "lane": In(LaneUser(config)),
                "levels": In(data.ArrayLayout(config.channels, clusters)),
                "requests": In(stream.Signature(IO_REQUEST)).array(clusters),
                "answers": Out(LEAF_ANSWER).array(clusters),
                "commands": Out(LEAF_COMMAND).array(clusters),
                "replies": In(LANE_REPLY).array(clusters),
                "interrupts": Out(config.channels).array(clusters),
                "busy": Out(clusters),
                "speaking": Out(clusters),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Join the parts."""
        m = Module()
        m.submodules.root = root = IoRoot(self.config)
        m.submodules.tree = tree = IoTree(self.config)
        wiring.connect(m, root.lane, wiring.flipped(self.lane))
        m.d.comb += [tree.down.eq(root.down), root.up.eq(tree.up)]

        cluster = Signal(8)
        m.d.sync += cluster.eq(root.service.cluster)
        m.d.comb += root.service.interrupts.eq(self.levels[cluster])
        request = root.service.request.payload
        mark = Cat(cluster, request.channel, request.register, request.write)
        with m.If(root.service.request.valid):
            m.d.comb += root.service.answer.eq(
                Cat((request.data ^ (mark << 15))[:32], request.write)
            )

        for index in range(self.config.clusters):
            m.submodules[f"node{index}"] = node = IoNode(self.config)
            wiring.connect(m, node.request, wiring.flipped(self.requests[index]))
            m.d.comb += [
                node.index.eq(index),
                node.down.eq(tree.leaves_down[index]),
                tree.leaves_up[index].eq(node.up),
                self.answers[index].eq(node.answer),
                self.commands[index].eq(node.command),
                node.reply.eq(self.replies[index]),
                self.interrupts[index].eq(node.interrupts),
                self.busy[index].eq(node.busy),
                self.speaking[index].eq(node.up.valid),
            ]
        return m


async def _run(dut: Any, traffic: Traffic, cycles: int) -> None:
    """Reset; then compare every output with the model in every cycle."""
    await FallingEdge(dut.clk)
    dut.rst.value = 1
    await ClockCycles(dut.clk, 2)
    for _ in range(cycles):
        await FallingEdge(dut.clk)
        dut.rst.value = 0
        for name, value in traffic.inputs().items():
            getattr(dut, name).value = value
        await ReadOnly()
        for name, value in traffic.outputs().items():
            seen = int(getattr(dut, name).value)
            assert seen == value, f"cycle {traffic.cycle}: {name} is {seen:#x}, not {value:#x}"
        traffic.advance()


@cocotb.test(timeout_time=100, timeout_unit="us")
@cocotb.parametrize(request_chance=[0.02, 1.0], command_chance=[0.1, 1.0])
async def every_output_follows_the_model(
    dut: Any, request_chance: float, command_chance: float
) -> None:
    """Requests from all leaves and lane commands to all and none, sparse and flooding."""
    config = line(len(dut.busy))
    Clock(dut.clk, 10, "ns").start()
    traffic = Traffic(
        config,
        seed=cocotb.RANDOM_SEED,
        request_chance=[request_chance] * config.clusters,
        command_chance=command_chance,
        targets=[None, *range(1 << max(1, (config.clusters - 1).bit_length()))],
    )
    await _run(dut, traffic, 400 + 20 * config.clusters)
    assert min(traffic.answered) > 0
    assert traffic.replied > 0
