# SPDX-License-Identifier: Apache-2.0
"""Properties of the I/O network, for every traffic of every cluster."""

from collections.abc import Callable
from typing import Any

from amaranth import Array, Cat, Module, Mux, Signal, Value
from amaranth.hdl import Assert, Assume, Cover
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from blindvisor.hdl.config import MachineConfig
from blindvisor.hdl.ionet.flits import IO_REQUEST, LANE_REPLY, LEAF_ANSWER, lane_command
from blindvisor.verification.benches.ionet import IoNetwork

__all__ = ["IoNeighboursSpec", "IoSlotsSpec"]


class _Inputs(wiring.Signature):
    """The inputs of an ``IoNetwork``, for the solver to choose."""

    def __init__(self, config: MachineConfig) -> None:
        super().__init__(
            {
                "command": In(stream.Signature(lane_command(config))),
                "levels": In(data.ArrayLayout(config.channels, config.clusters)),
                "requests": In(stream.Signature(IO_REQUEST)).array(config.clusters),
                "replies": In(LANE_REPLY).array(config.clusters),
            }
        )


def _feed(m: Module, inputs: Any, network: IoNetwork) -> None:
    connect(m, flipped(inputs.command), network.lane.command)
    m.d.comb += network.levels.eq(inputs.levels)
    for k in range(network.config.clusters):
        connect(m, flipped(inputs.requests[k]), network.requests[k])
        m.d.comb += network.replies[k].eq(inputs.replies[k])


def _assume_one_cluster(m: Module, watched: Signal, config: MachineConfig) -> None:
    started, before = Signal(), Signal.like(watched)
    m.d.sync += [started.eq(1), before.eq(watched)]
    m.d.comb += [
        Assume(~started | (watched == before), "watched is constant"),
        Assume(watched < config.clusters, "watched is a cluster"),
    ]


def _pick(ports: Any, watched: Signal) -> Any:
    """Return the watched cluster's one of the ports, as a plain value."""
    return Array(Value.cast(port) for port in ports)[watched]


class IoSlotsSpec(wiring.Component):
    """Follows one cluster, any one (``watched``), while all others do what they like.

    Claims
    ------
    P12-MERGE
        At most one leaf speaks in a cycle; as all are equally deep, no two flits ever meet.
    P10-IDENTITY
        The answer that a cluster gets is the one to its own request, asked as itself.
    P8-ANSWERED
        A request is answered within two frames and a constant time; an answer comes to nobody who
        did not ask.

    Not covered: other sizes than the given one.
    """

    watched: Signal
    inputs: Any

    def __init__(self, config: MachineConfig) -> None:
        self.config = config
        super().__init__({"watched": In(range(config.clusters)), "inputs": Out(_Inputs(config))})

    def elaborate(self, platform: object) -> Module:
        """Keep what the watched cluster must be answered, and count how long it waits."""
        m = Module()
        m.submodules.network = network = IoNetwork(self.config)
        _feed(m, self.inputs, network)
        _assume_one_cluster(m, self.watched, self.config)

        meets = [
            network.speaking[k] & network.speaking[:k].any() for k in range(self.config.clusters)
        ]
        m.d.comb += Assert(~Cat(meets).any(), "P12-MERGE")

        request = Signal(IO_REQUEST)
        answer = Signal(LEAF_ANSWER)
        m.d.comb += [
            request.eq(_pick([port.payload for port in self.inputs.requests], self.watched)),
            answer.eq(_pick(network.answers, self.watched)),
        ]
        asks = _pick([port.valid & port.ready for port in self.inputs.requests], self.watched)
        who = Signal(8)
        m.d.comb += who.eq(self.watched)
        mark = Cat(who, request.channel, request.register, request.write) << 15

        waiting = Signal()
        expected = Signal(33)
        longest = 4 * self.config.clusters + 4
        waited = Signal(range(longest + 2))
        m.d.sync += waited.eq(Mux(waiting, waited + 1, 0))
        with m.If(asks):
            m.d.sync += [
                waiting.eq(1),
                expected.eq(Cat((request.data ^ mark)[:32], request.write)),
            ]
        with m.Elif(answer.valid):
            m.d.sync += waiting.eq(0)

        m.d.comb += Assert(waited <= longest, "P8-ANSWERED")
        with m.If(answer.valid):
            m.d.comb += [
                Assert(waiting, "P8-ANSWERED"),
                Assert(Cat(answer.data, answer.error) == expected, "P10-IDENTITY"),
            ]
        m.d.comb += [
            Cover(answer.valid & (answer.data != 0), "the watched cluster is answered"),
            Cover(network.lane.reply_valid & network.lane.reply.ok, "a command is obeyed"),
        ]
        return m


class IoNeighboursSpec(wiring.Component):
    """Two networks that differ in everything but what one cluster, any one, says and is told.

    Parameters
    ----------
    config : :class:`MachineConfig`
        The machine.
    make : callable
        Makes the network from it; a control passes one with a fault.

    Claims
    ------
    P12-NEIGHBOURS
        What the watched leaf shows its cluster is the same in both, in every cycle.

    Assumed: the watched cluster's own inputs and its own interrupt levels are the same, and so are
    the commands that name it or are for all. Not covered: other sizes than the given one.
    """

    watched: Signal
    inputs: Any
    other_inputs: Any

    def __init__(
        self, config: MachineConfig, *, make: Callable[[MachineConfig], IoNetwork] = IoNetwork
    ) -> None:
        self.config = config
        self.make = make
        super().__init__(
            {
                "watched": In(range(config.clusters)),
                "inputs": Out(_Inputs(config)),
                "other_inputs": Out(_Inputs(config)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Let the two differ, and compare."""
        m = Module()
        _assume_one_cluster(m, self.watched, self.config)
        shown = []
        concerns = []
        for name, inputs in (("one", self.inputs), ("other", self.other_inputs)):
            m.submodules[name] = network = self.make(self.config)
            _feed(m, inputs, network)

            command = inputs.command.payload
            for_watched = ~command.named | (command.cluster == self.watched)
            told = Signal(1 + len(Value.cast(command)), name=f"{name}_told")
            with m.If(inputs.command.valid & for_watched):
                m.d.comb += told.eq(Cat(1, command))
            levels = [inputs.levels[k] for k in range(self.config.clusters)]
            concerns.append(
                Cat(
                    told,
                    _pick(levels, self.watched),
                    _pick(
                        [Cat(port.valid, port.payload) for port in inputs.requests], self.watched
                    ),
                    _pick(inputs.replies, self.watched),
                )
            )

            shown.append(
                Cat(
                    _pick(ports, self.watched)
                    for ports in (
                        network.answers,
                        network.commands,
                        network.interrupts,
                        network.busy,
                        network.speaking,
                        [port.ready for port in network.requests],
                    )
                )
            )
            m.d.comb += Cover(_pick(network.answers, self.watched)[0], f"{name} is answered")

        same = Signal()
        m.d.comb += same.eq(concerns[0] == concerns[1])
        m.d.comb += Assume(same, "same for the watched cluster")
        m.d.comb += Assert(shown[0] == shown[1], "P12-NEIGHBOURS")
        return m
