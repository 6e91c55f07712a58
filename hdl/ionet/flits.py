# SPDX-License-Identifier: Apache-2.0
"""What travels on the I/O network, and the rule of its time slots.

A frame has one slot per cluster and a slot has two cycles. In the first (``lane`` = 0) slot *k*
belongs to cluster *k*: the I/O lane. In the second (``lane`` = 1) the wires belong to the monitor
lane: the monitor or the loader, and the one cluster they name.

The root sends ``slot`` and ``lane`` down with every flit; the tree delays all leaves equally. A
leaf speaks up in the cycle in which it sees its own slot (I/O lane), or exactly
:data:`REPLY_CYCLES` cycles after a command named it (monitor lane, so again ``lane`` = 1).
"""

from amaranth.lib import data, enum
from amaranth.utils import bits_for

from blindvisor.hdl.config import MachineConfig

__all__ = [
    "CLAIM",
    "FAULT_REPLY",
    "GRANT",
    "IO_REQUEST",
    "LANE_REPLY",
    "LAUNCH",
    "LEAF_ANSWER",
    "LEAF_COMMAND",
    "REPLY_CYCLES",
    "STATUS_REPLY",
    "UP_FLIT",
    "LaneOp",
    "down_flit",
    "io_answer",
    "lane_command",
]

REPLY_CYCLES = 2
"""Cycles from a lane command's arrival at a leaf to the reply's departure from it."""


class LaneOp(enum.Enum, shape=4):
    """Commands of the monitor lane. A broadcast (``named`` = 0) gets no reply."""

    NONE = 0
    CLAIM = 1  # data: CLAIM. FREE -> LOADING
    LAUNCH = 2  # broadcast, data: LAUNCH. LOADING -> RUNNING
    FREEZE = 3  # broadcast, data: owner. RUNNING -> FROZEN
    RESUME = 4  # broadcast, data: owner. FROZEN -> RUNNING
    STOP = 5  # broadcast, data: owner. LOADING, RUNNING, FROZEN -> SCRUBBING (draining)
    SCRUB = 6  # named. SCRUBBING and drained: zero the memory
    FREE = 7  # named. SCRUBBING and clean -> FREE
    CHANNEL = 8  # named, data: GRANT. sets one row of the channel table
    STATUS = 9  # named. reply: STATUS_REPLY
    FAULT = 10  # named, data: bit 0 clears the record after reading. reply: FAULT_REPLY
    ADDRESS = 11  # named, data: word offset for the next WRITE or READ
    WRITE = 12  # named, data: word. LOADING only; the address then moves on by one
    READ = 13  # named. FROZEN only; reply: word; the address then moves on by one


CLAIM = data.StructLayout(
    {
        "owner": 8,
        "origin_x": 4,
        "origin_y": 4,
        "last_x": 4,  # width - 1
        "last_y": 4,  # height - 1
        "reserved": 8,
    }
)

LAUNCH = data.StructLayout({"owner": 8, "resumed": 1, "reserved": 23})
"""``resumed``: the VM's image is a saved state (GuestRegister.FLAGS)."""

GRANT = data.StructLayout({"guest": 4, "channel": 4, "valid": 1, "reserved": 23})

STATUS_REPLY = data.StructLayout(
    {
        "state": 3,  # abi.ClusterState
        "drained": 1,  # SCRUBBING, and nothing of this cluster is in flight
        "clean": 1,  # SCRUBBING, and memory, core and interrupt state are zero
        "reserved": 3,
        "owner": 8,
        "reserved2": 16,
    }
)

FAULT_REPLY = data.StructLayout({"count": 16, "first": 4, "reserved": 12})
"""Saturating count, and the kind of the first one since the last clear (abi.Fault)."""

LANE_REPLY = data.StructLayout({"data": 32, "ok": 1})
"""``ok`` = 0: refused, nothing changed."""

LEAF_COMMAND = data.StructLayout({"data": 32, "op": LaneOp, "named": 1, "valid": 1})
"""A lane command as a leaf hands it to its cluster, in the one cycle of its arrival: named for this
cluster, or a broadcast. A named one is answered with LANE_REPLY in the next cycle."""

LEAF_ANSWER = data.StructLayout({"data": 32, "error": 1, "valid": 1})
"""Answer to an I/O request as a leaf hands it to its cluster, for one cycle."""

IO_REQUEST = data.StructLayout({"data": 32, "channel": 4, "register": 4, "write": 1})
"""``channel``: physical; ``register``: abi.ChannelRegister."""

UP_FLIT = data.StructLayout({"valid": 1, "payload": IO_REQUEST.size})
"""Leaf to root; an idle leaf sends zeros, so merging is an OR. ``payload`` is IO_REQUEST or
LANE_REPLY, as the cycle says."""


def io_answer(config: MachineConfig) -> data.StructLayout:
    """Root to cluster *k* in slot *k*.

    ``valid``: the answer to its request; ``interrupts``: level of each physical channel that the
    cluster's owner owns, in every frame.
    """
    return data.StructLayout({"data": 32, "error": 1, "interrupts": config.channels})


def lane_command(config: MachineConfig) -> data.StructLayout:
    """Root to clusters on the monitor lane. ``named`` = 0: a broadcast."""
    return data.StructLayout(
        {"data": 32, "op": LaneOp, "named": 1, "cluster": bits_for(config.clusters - 1)}
    )


def down_flit(config: MachineConfig) -> data.StructLayout:
    """Root to leaves. ``payload`` is io_answer or lane_command, as ``lane`` says."""
    return data.StructLayout(
        {
            "slot": bits_for(config.clusters - 1),
            "lane": 1,
            "valid": 1,
            "payload": max(io_answer(config).size, lane_command(config).size),
        }
    )
