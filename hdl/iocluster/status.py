# SPDX-License-Identifier: Apache-2.0
"""STATUS and FAULT_CLEAR: all that the hypervisor can learn about VMs and clusters."""

from amaranth import C, Cat, Module, Mux, Signal
from amaranth.lib import data

from blindvisor.hdl.abi import ChannelKind, ClusterState, Result, StatusKind
from blindvisor.hdl.iocluster.passes import Others
from blindvisor.hdl.iocluster.sequences import Sequences
from blindvisor.hdl.ionet.flits import FAULT_REPLY, STATUS_REPLY, LaneOp

__all__ = ["status_states"]


def status_states(m: Module, s: Sequences) -> None:
    """Add the states of STATUS and FAULT_CLEAR.

    VALUE0..VALUE3 are made of named fields alone, never of a whole reply (P9: no guest address or
    data).
    """
    config = s.config
    kind, index = s.arguments[0], s.arguments[1]
    row, record = s.rows[index[:4]], s.record
    lifecycle = Signal(ClusterState)
    status = data.View(STATUS_REPLY, s.sweep.reply)
    faults = data.View(FAULT_REPLY, s.sweep.reply)

    def answer(*values: object) -> None:
        for n, register in enumerate(s.values):
            m.d.sync += register.eq(values[n] if n < len(values) else 0)
        s.end(Result.OK)

    with m.State("STATUS"):
        s.end(Result.BAD_ARGUMENT)
        with m.Switch(kind):
            with m.Case(StatusKind.CLUSTER.value), m.If(index < config.clusters):
                m.next = "STATUS_CLUSTER"
            with m.Case(StatusKind.VM.value), m.If((index != 0) & (index <= config.vms)):
                numbers = (record.x, record.y, record.width, record.height)
                answer(record.state, Cat(C(0, 8) | number for number in numbers))
            with m.Case(StatusKind.CHANNEL.value), m.If(index < config.channels):
                first_mailbox = config.tty_channels
                first_attest = first_mailbox + config.mailbox_channels
                other = Mux(
                    index < first_attest, ChannelKind.MAILBOX.value, ChannelKind.ATTEST.value
                )
                answer(
                    row.owner,
                    row.guest,
                    Mux(index >= first_mailbox, other, ChannelKind.TTY.value),
                    s.denied[index[:4]],
                )
            with m.Case(StatusKind.LOAD.value), m.If(index == 0):
                answer(s.last_load)

    def lifecycle_read() -> None:
        # An encoding without a name means SCRUBBING, so that is what is told.
        m.d.sync += lifecycle.eq(ClusterState.SCRUBBING)
        with m.Switch(status.state):
            for state in ClusterState:
                with m.Case(state.value):
                    m.d.sync += lifecycle.eq(state)
        m.next = "STATUS_FAULTS"

    one_cluster = {"width": 1, "height": 1, "others": Others.SERVE}
    s.pass_state(
        "STATUS_CLUSTER",
        LaneOp.STATUS,
        first=index,
        passed=lifecycle_read,
        failed=lambda: s.end(Result.CLUSTER_FAULT),
        **one_cluster,
    )
    s.pass_state(
        "STATUS_FAULTS",
        LaneOp.FAULT,
        first=index,
        passed=lambda: answer(lifecycle, s.sweep.holder, faults.count, faults.first),
        failed=lambda: s.end(Result.CLUSTER_FAULT),
        **one_cluster,
    )
    s.pass_state(
        "FAULT_CLEAR",
        LaneOp.FAULT,
        first=kind,
        data=1,
        passed=lambda: s.end(Result.OK),
        failed=lambda: s.end(Result.CLUSTER_FAULT),
        **one_cluster,
    )
