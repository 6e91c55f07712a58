# SPDX-License-Identifier: Apache-2.0
"""Functional coverage: bins over promises, states and sources, and the holes by name.

A bin is counted when the machine and the model have answered alike in it, not when it was tried.
cocotb-coverage is not used: its cover points are decorators with a database per process, while
these counts must be data that jobs on other computers hand back.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from blindvisor.hdl.abi import Call, Result, VmState

__all__ = ["BINS", "UNREACHABLE", "Bin", "channel_bin", "coverage", "guest_bin", "holes"]

NO_SLOT = "no such slot"


@dataclass(frozen=True, kw_only=True, order=True)
class Bin:
    """One situation that must have been met.

    Members
    -------
    promise : :class:`str`
        What is at stake.
    source : :class:`str`
        Who asks: hypervisor or guest.
    state : :class:`str`
        In which state of slot, port, or VM.
    what : :class:`str`
        What is asked for, or how it ended.
    """

    promise: str
    source: str
    state: str
    what: str

    def __str__(self) -> str:
        """Its name, by which it is counted."""
        return f"{self.promise} {self.source}: {self.what}, {self.state}"


CALL_PROMISES = {
    Call.VM_CREATE: "P4",
    Call.VM_LOAD: "P6",
    Call.VM_START: "P6",
    Call.VM_FREEZE: "P3",
    Call.VM_RESUME: "P3",
    Call.VM_SAVE: "P1",
    Call.VM_DESTROY: "P5",
    Call.CHANNEL_GRANT: "P10",
    Call.CHANNEL_REVOKE: "P10",
    Call.STATUS: "P9",
    Call.FAULT_CLEAR: "P9",
}
"""The promise that a call could break first."""

SLOT_CALLS = [call for call in Call if call.name.startswith("VM_")]
SLOT_STATES = [NO_SLOT, *(state.name for state in VmState)]

_RESULTS = {
    Call.NONE: (Result.UNKNOWN_CALL,),
    Call.VM_CREATE: (Result.OK, Result.BAD_VM, Result.BAD_RECTANGLE, Result.OCCUPIED),
    Call.VM_LOAD: (
        *(Result.OK, Result.BAD_VM, Result.IMAGE_HEADER, Result.IMAGE_SIZE, Result.IMAGE_KEY),
        *(Result.IMAGE_TAG, Result.IMAGE_OLD, Result.STORE_FULL, Result.ABORTED),
    ),
    Call.VM_START: (Result.OK, Result.BAD_VM, Result.WRONG_STATE),
    Call.VM_FREEZE: (Result.OK, Result.BAD_VM, Result.WRONG_STATE),
    Call.VM_RESUME: (Result.OK, Result.BAD_VM, Result.WRONG_STATE),
    Call.VM_SAVE: (
        *(Result.OK, Result.BAD_VM, Result.WRONG_STATE, Result.ABORTED),
        *(Result.IMAGE_OLD, Result.STORE_FULL),
    ),
    Call.VM_DESTROY: (Result.OK, Result.BAD_VM, Result.WRONG_STATE),
    Call.CHANNEL_GRANT: (
        *(Result.OK, Result.BAD_CHANNEL, Result.BAD_VM, Result.WRONG_STATE),
        *(Result.BAD_GUEST_CHANNEL, Result.CHANNEL_TAKEN, Result.GUEST_CHANNEL_TAKEN),
    ),
    Call.CHANNEL_REVOKE: (Result.OK, Result.BAD_CHANNEL, Result.WRONG_STATE),
    Call.STATUS: (Result.OK, Result.BAD_ARGUMENT),
    Call.FAULT_CLEAR: (Result.OK, Result.BAD_ARGUMENT),
}

MOMENTS = ("idle", "calling", "loading a header", "loading contents", "saving")
"""Of the hypervisor's port, for what is done while something runs."""

REGISTER_KINDS = ("command", "argument", "read-only", "write-only", "no register", "mailbox")

GUEST_STATES = ("one cluster", "several clusters")

TARGETS = {
    # what a guest's access aims at: promise
    "own memory": "P1",
    "own memory by coordinates": "P1",
    "own address beyond memory": "P8",
    "own register": "P9",
    "part of a register": "P8",
    "no register of a cluster": "P8",
    "granted channel": "P10",
    "channel that was not granted": "P10",
    "part of a channel's word": "P8",
    "no register of a channel": "P8",
    "outside of the rectangle": "P1",
    "partner's memory": "P2",
    "partner's register": "P2",
    "partner's channel window": "P10",
    "partner's address beyond memory": "P8",
}
FETCHES = ("outside of the rectangle", "own address beyond memory", "own register", "window")
PARTNER = "partner's "


def call_bin(call: Call, state: str) -> Bin:
    """A call that names a slot, by the state of that slot."""
    return Bin(
        promise=CALL_PROMISES[call], source="hypervisor", state=f"slot {state}", what=call.name
    )


def result_bin(call: Call, result: Result) -> Bin:
    """How a call ended."""
    return Bin(
        promise=CALL_PROMISES.get(call, "P8"),
        source="hypervisor",
        state=f"ended {result.name}",
        what=call.name if call is not Call.NONE else "call without meaning",
    )


def channel_bin(owner: str, state: str) -> Bin:
    """A grant, by whose the channel is and by the state of the VM that shall get it."""
    return Bin(
        promise="P10",
        source="hypervisor",
        state=f"slot {state}",
        what=f"{Call.CHANNEL_GRANT.name} of a channel of {owner}",
    )


def moment_bin(what: str, moment: str) -> Bin:
    """Something at the port while something runs."""
    promise = "P5" if what == "reset" else "P6" if what == "abort" else "P8"
    return Bin(promise=promise, source="hypervisor", state=moment, what=what)


def guest_bin(target: str, access: str, state: str) -> Bin:
    """An access of a guest."""
    promise = TARGETS.get(target, "P1")
    if access == "store" and promise == "P1":
        promise = "P2"
    return Bin(promise=promise, source="guest", state=state, what=f"{access}: {target}")


def _bins() -> Iterable[Bin]:
    for call in SLOT_CALLS:
        for state in SLOT_STATES:
            yield call_bin(call, state)
    for call, results in _RESULTS.items():
        for result in results:
            yield result_bin(call, result)
    for owner in ("nobody", "this VM", "another VM"):
        for state in SLOT_STATES:
            # A slot without a VM owns nothing.
            if not (owner == "this VM" and state in (NO_SLOT, VmState.EMPTY.name)):
                yield channel_bin(owner, state)
    for moment in MOMENTS:
        for what in ("abort", "reset", *REGISTER_KINDS):
            if not (what == "command" and moment == "idle"):  # that is a call
                yield moment_bin(what, moment)
    for state in GUEST_STATES:
        for target in TARGETS:
            if not (target.startswith(PARTNER) and state == "one cluster"):
                for access in ("load", "store"):
                    yield guest_bin(target, access, state)
        for target in FETCHES:
            yield guest_bin(target, "fetch", state)
        yield guest_bin("any instruction but an access", "run", state)
    yield Bin(promise="P3", source="hypervisor", state="guests run", what="freeze and resume")
    yield Bin(promise="P4", source="hypervisor", state="guests run", what="refused call")


BINS: dict[str, Bin] = {str(item): item for item in _bins()}
"""All bins, by name."""

FREEZE_BIN = "P3 hypervisor: freeze and resume, guests run"
REFUSED_BIN = "P4 hypervisor: refused call, guests run"

UNREACHABLE: dict[str, str] = {
    name: "a slot is FAULTED only on a machine that is broken: benches of the monitor go there"
    for name, item in BINS.items()
    if item.state == f"slot {VmState.FAULTED.name}"
} | {
    str(moment_bin("mailbox", "calling")): (
        "what a mailbox answers while its owner changes depends on the cycle: proof `guard`"
    ),
}
"""Bins that this fuzzer cannot meet, each with its reason. They count as holes."""


def coverage(counts: Mapping[str, int]) -> dict[str, int]:
    """Return the counts of all bins, those without one included.

    Raises
    ------
    :exc:`ValueError`
        If something was counted that is no bin.
    """
    if unknown := sorted(counts.keys() - BINS.keys()):
        raise ValueError(f"a bin must be one of coverage.BINS, not {unknown[0]!r}")
    return {name: counts.get(name, 0) for name in BINS}


def holes(counts: Mapping[str, int]) -> dict[str, str]:
    """Return the bins without a count, each with the reason, if one is known."""
    filled = coverage(counts)
    return {name: UNREACHABLE.get(name, "") for name, count in filled.items() if not count}


def merged(parts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Add the counts of several runs."""
    total: Counter[str] = Counter()
    for part in parts:
        total.update(part)
    return dict(total)
