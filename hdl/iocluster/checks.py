# SPDX-License-Identifier: Apache-2.0
"""The monitor's checks: everything that can refuse a call, before the call changes anything."""

from typing import Any

from amaranth import Cat, Module, Value

from blindvisor.hdl.abi import Call, Result, VmState
from blindvisor.hdl.iocluster.sequences import Sequences

__all__ = ["check_state"]


def check_state(m: Module, s: Sequences) -> None:
    """Add the state CHECK: the first check that fails names the result.

    Arguments are compared as 32-bit words, sums as 33-bit ones. VM_CREATE's last check, OCCUPIED,
    is a pass; all checks of STATUS are in its own state.
    """
    config = s.config
    arg0, arg1, arg2, arg3, arg4 = s.arguments
    state = s.record.state
    row = s.rows[arg0[:4]]
    rows = [s.rows[n] for n in range(config.channels)]
    guest_taken = Cat((row.owner == s.vm) & (row.guest == arg2[:4]) for row in rows).any()
    bad_rectangle = (
        (arg3 == 0)
        | (arg4 == 0)
        | (arg1 + arg3 > config.width)
        | (arg2 + arg4 > config.height)
        | ((arg3 == 16) & (arg4 == 16))
    )
    usable = (
        (state == VmState.CREATED)
        | (state == VmState.READY)
        | (state == VmState.RUNNING)
        | (state == VmState.FROZEN)
    )

    def bad_vm(word: Value) -> Value:
        return (word == 0) | (word > config.vms)

    def refuse(*checks: tuple[Value, Result]) -> Any:
        """Add the checks in order; return the context in which none of them failed."""
        for number, (failed, result) in enumerate(checks):
            with (m.Elif if number else m.If)(failed):
                s.end(result)
        return m.Else()

    with m.State("CHECK"), m.Switch(s.command):
        with m.Case(Call.VM_CREATE.value):
            with refuse(
                (bad_vm(arg0), Result.BAD_VM),
                (state != VmState.EMPTY, Result.WRONG_STATE),
                (bad_rectangle, Result.BAD_RECTANGLE),
            ):
                m.next = "VACANT"
        for call, needed, following in (
            (Call.VM_LOAD, VmState.CREATED, "LEND"),
            (Call.VM_SAVE, VmState.FROZEN, "LEND"),
            (Call.VM_START, VmState.READY, "LAUNCH"),
            (Call.VM_FREEZE, VmState.RUNNING, "FREEZE"),
            (Call.VM_RESUME, VmState.FROZEN, "RESUME"),
        ):
            with (
                m.Case(call.value),
                refuse((bad_vm(arg0), Result.BAD_VM), (state != needed, Result.WRONG_STATE)),
            ):
                m.next = following
        with m.Case(Call.VM_DESTROY.value):
            with refuse(
                (bad_vm(arg0), Result.BAD_VM),
                (state == VmState.EMPTY, Result.WRONG_STATE),
            ):
                s.destroy_and_end(Result.OK)
        with m.Case(Call.CHANNEL_GRANT.value):
            m.d.sync += s.guest.eq(arg2)
            with refuse(
                (arg0 >= config.channels, Result.BAD_CHANNEL),
                (bad_vm(arg1), Result.BAD_VM),
                (~usable, Result.WRONG_STATE),
                (arg2 >= config.guest_channels, Result.BAD_GUEST_CHANNEL),
                (row.owner != 0, Result.CHANNEL_TAKEN),
                (guest_taken, Result.GUEST_CHANNEL_TAKEN),
            ):
                m.next = "GRANT"
        with m.Case(Call.CHANNEL_REVOKE.value):
            m.d.sync += [s.guest.eq(row.guest), s.vm.eq(row.owner)]
            with refuse(
                (arg0 >= config.channels, Result.BAD_CHANNEL),
                (row.owner == 0, Result.WRONG_STATE),
            ):
                m.next = "REVOKE"
        with m.Case(Call.STATUS.value):
            m.next = "STATUS"
        with m.Case(Call.FAULT_CLEAR.value):
            with refuse((arg0 >= config.clusters, Result.BAD_ARGUMENT)):
                m.next = "FAULT_CLEAR"
        with m.Default():
            s.end(Result.UNKNOWN_CALL)
