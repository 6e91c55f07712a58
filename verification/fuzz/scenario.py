# SPDX-License-Identifier: Apache-2.0
"""Inside the simulator: fuzzing until a budget is used up or a difference is found, and replay."""

import time
from collections.abc import Callable, Iterable
from random import Random
from typing import Any, TypeVar, cast

from blindvisor.sim.events import emit
from blindvisor.sw.hypervisor.hypervisor import Hypervisor
from blindvisor.verification.fuzz import crowd
from blindvisor.verification.fuzz.actions import Action, ProgramSource, simpler
from blindvisor.verification.fuzz.crowd import Crowd, run_crowd
from blindvisor.verification.fuzz.lockstep import Difference, FuzzLink, Pair
from blindvisor.verification.fuzz.shrink import Budget, shrink

__all__ = ["FUZZERS", "fuzz_calls", "fuzz_guests", "replay_calls", "replay_guests"]

FUZZERS = {
    "calls": (f"{__name__}:fuzz_calls", f"{__name__}:replay_calls"),
    "guests": (f"{__name__}:fuzz_guests", f"{__name__}:replay_guests"),
}
"""Scenarios of each fuzzer: the one that looks for differences, and the one that shows one."""

PROGRAM = 40
"""Actions of a program: long enough for a VM's whole life, short enough to be shrunk."""

Item = TypeVar("Item")


def fuzz_calls(hypervisor: Hypervisor, params: dict[str, Any]) -> dict[str, Any]:
    """Run random hypervisor programs.

    Parameters
    ----------
    params : :class:`dict`
        ``seed``; ``total``: how many calls the programs shall make; ``seconds``: after which no
        further program begins; ``shrink``: seconds and ``tries``: runs that a failing
        program may be shrunk for; ``root_key`` in hexadecimal.

    Returns
    -------
    :class:`dict`
        ``programs`` that ran; ``random``: calls that these made; ``calls`` in all, with those that
        only look; ``cycles``; ``bins``: counts; ``found``: None, or a dictionary with ``message``,
        ``program`` (its number) and ``actions``, shrunk.
    """
    pair = _pair(hypervisor, params)
    source = ProgramSource(hypervisor.link.config, root_key=bytes.fromhex(params["root_key"]))
    begun, calls, programs = time.monotonic(), 0, 0
    found = None
    while calls < params["total"] and time.monotonic() - begun < params["seconds"]:
        actions = source.program(Random(f"{params['seed']}/{programs}"), PROGRAM)
        message = _message(pair.run, actions)
        programs += 1
        calls += sum(action.step is not None for action in actions)
        if message:
            shortest = _shortest(pair.run, actions, simpler, _budget(params))
            found = {
                "message": _message(pair.run, shortest) or message,
                "program": programs - 1,
                "actions": [action.as_dict() for action in shortest],
            }
            break
        emit("fuzzed", what="calls", done=calls, total=params["total"])
    return _report(hypervisor, pair, programs, found) | {"random": calls}


def fuzz_guests(hypervisor: Hypervisor, params: dict[str, Any]) -> dict[str, Any]:
    """Run random guests beside a victim.

    Parameters
    ----------
    params : :class:`dict`
        As for :func:`fuzz_calls`, with ``total`` in cycles of the simulation: those in which VMs
        are loaded and saved are in it.

    Returns
    -------
    :class:`dict`
        As for :func:`fuzz_calls`; ``found`` holds a ``crowd``.
    """
    pair = _pair(hypervisor, params)
    root_key = bytes.fromhex(params["root_key"])
    begun, programs = time.monotonic(), 0
    found = None

    def run(people: Crowd) -> None:
        run_crowd(pair, people, root_key=root_key)

    while _cycles(hypervisor) < params["total"] and time.monotonic() - begun < params["seconds"]:
        people = crowd.crowd(Random(f"{params['seed']}/{programs}"), hypervisor.link.config)
        message = _message(run, people)
        programs += 1
        if message:
            shortest = _smallest_crowd(run, people, _budget(params))
            found = {
                "message": _message(run, shortest) or message,
                "program": programs - 1,
                "crowd": shortest.as_dict(),
            }
            break
        emit("fuzzed", what="guests", done=_cycles(hypervisor), total=params["total"])
    return _report(hypervisor, pair, programs, found)


def replay_calls(hypervisor: Hypervisor, params: dict[str, Any]) -> dict[str, Any]:
    """Run the program ``params["actions"]``; return its ``message``, empty if nothing differs."""
    actions = [Action.from_dict(values) for values in params["actions"]]
    return {"message": _message(_pair(hypervisor, params).run, actions)}


def replay_guests(hypervisor: Hypervisor, params: dict[str, Any]) -> dict[str, Any]:
    """Run the guests ``params["crowd"]``; return its ``message``, empty if nothing differs."""
    pair, root_key = _pair(hypervisor, params), bytes.fromhex(params["root_key"])
    people = Crowd.from_dict(params["crowd"])
    return {"message": _message(lambda item: run_crowd(pair, item, root_key=root_key), people)}


def _smallest_crowd(run: Callable[[Crowd], None], people: Crowd, budget: Budget) -> Crowd:
    """Try with fewer passes and nothing disturbed, then drop blocks."""
    for calmer in crowd.simpler(people):
        if _message(run, calmer):
            people = calmer
            break
    whole = people
    kept = _shortest(lambda blocks: run(whole.with_blocks(blocks)), whole.blocks, None, budget)
    return whole.with_blocks(kept)


def _budget(params: dict[str, Any]) -> Budget:
    return Budget(runs=params["tries"], seconds=params["shrink"])


def _report(
    hypervisor: Hypervisor, pair: Pair, programs: int, found: dict[str, Any] | None
) -> dict[str, Any]:
    return {
        "programs": programs,
        "calls": pair.machine.calls,
        "cycles": _cycles(hypervisor),
        "bins": dict(pair.counts),
        "found": found,
    }


def _pair(hypervisor: Hypervisor, params: dict[str, Any]) -> Pair:
    link = cast(FuzzLink, hypervisor.link)
    return Pair(link, root_key=bytes.fromhex(params["root_key"]))


def _message(run: Callable[[Item], None], items: Item) -> str:
    try:
        run(items)
    except Difference as difference:
        return str(difference)
    return ""


def _shortest(
    run: Callable[[list[Item]], None],
    items: list[Item],
    simpler: Callable[[Item], Iterable[Item]] | None,
    budget: Budget,
) -> list[Item]:
    """Shrink, and say so."""

    def fails(candidate: list[Item]) -> bool:
        emit("shrinking", items=len(candidate))
        return bool(_message(run, candidate))

    return shrink(items, fails, budget=budget, simpler=simpler)


def _cycles(hypervisor: Hypervisor) -> int:
    return getattr(hypervisor.link, "cycles", 0)
