# SPDX-License-Identifier: Apache-2.0
"""Port between the root of the I/O network and what decides about requests."""

from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from blindvisor.hdl.config import MachineConfig
from blindvisor.hdl.ionet.flits import IO_REQUEST

__all__ = ["ANSWER", "REQUEST", "ServicePort"]

REQUEST = data.StructLayout({"valid": 1, "payload": IO_REQUEST})
"""A request of the cluster that its time slot tells."""

ANSWER = data.StructLayout({"data": 32, "error": 1})
"""What became of a request; ``data`` is 0 with an ``error`` and for a write."""


class ServicePort(wiring.Signature):
    """Requests and interrupts, cluster by cluster, as the root sees them (the root has it as
    ``Out``).

    Parameters
    ----------
    config : :class:`MachineConfig`
        The machine.

    Members
    -------
    cluster : :py:`Out(bits_for(config.clusters - 1))`
        The cluster that the *next* cycle is about: known from time alone, so its owner can be
        looked up ahead.
    request : :py:`Out(REQUEST)`
        Request of the cluster that :attr:`cluster` named one cycle before.
    answer : :py:`In(ANSWER)`
        Its answer, in the same cycle.
    interrupts : :py:`In(config.channels)`
        Levels that the cluster named one cycle before may see, by physical channel.
    """

    def __init__(self, config: MachineConfig) -> None:
        super().__init__(
            {
                "cluster": Out(bits_for(config.clusters - 1)),
                "request": Out(REQUEST),
                "answer": In(ANSWER),
                "interrupts": In(config.channels),
            }
        )
