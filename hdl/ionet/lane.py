# SPDX-License-Identifier: Apache-2.0
"""Port of a user of the monitor lane: the monitor or the loader."""

from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from blindvisor.hdl.config import MachineConfig
from blindvisor.hdl.ionet.flits import LANE_REPLY, lane_command

__all__ = ["LaneUser"]


class LaneUser(wiring.Signature):
    """Commands to clusters and their replies, as the user sees them (a user has it as ``Out``).

    Parameters
    ----------
    config : :class:`MachineConfig`
        The machine.

    Members
    -------
    command : :py:`Out(stream.Signature(lane_command(config)))`
        Taken in the cycle in which it is sent: at most every second cycle. No other flow control.
    reply_valid : :py:`In(1)`
        High for one cycle per named command, in their order. The user must take it then.
    reply : :py:`In(LANE_REPLY)`
        The cluster's reply; all zero when there is none, or when the cluster sent nothing in the
        one cycle in which its reply was due: ``ok`` = 0 then means refused (P8).

    Notes
    -----
    A named command is answered ``2 * tree_depth(config) + REPLY_CYCLES`` cycles after it was
    taken, whatever the cluster does. The next command may be given before.
    """

    def __init__(self, config: MachineConfig) -> None:
        super().__init__(
            {
                "command": Out(stream.Signature(lane_command(config))),
                "reply_valid": In(1),
                "reply": In(LANE_REPLY),
            }
        )
