# SPDX-License-Identifier: Apache-2.0
"""Run times, traces, covert channels and calls: what ``blindvisor bench isolation`` measures."""

import random
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from blindvisor.hdl.config import MachineConfig
from blindvisor.verification.attacks.programs import channel_address
from blindvisor.verification.isolation.guests import receiver, sender
from blindvisor.verification.isolation.lab import Lab, Run
from blindvisor.verification.isolation.places import Rectangle, corners
from blindvisor.verification.isolation.traces import accesses, information, run_cycles
from blindvisor.verification.isolation.variants import VARIANTS

__all__ = ["GUESTS", "MEDIA", "Step", "judge", "measure"]

Step = Callable[[str, int, int | None], None]

GUESTS: dict[str, tuple[int, int]] = {
    "hello": (2, 2),
    "matmul": (2, 2),
    "interrupts": (2, 1),
    "bench": (1, 1),
}
"""Guests that end by themselves, and the clusters that each gets (at most what the mesh has)."""

MEDIA = ("I/O network", "mesh", "monitor calls")
"""What a covert channel is tried over."""

SYMBOLS = 32
PERIOD = 1024
"""Bits that are sent, twice (once inverted), and cycles for each: whole frames on every machine."""

_TARGET = 0x3000
_WORDS = 16


def measure(
    config: MachineConfig,
    *,
    guests: Sequence[str] = tuple(GUESTS),
    places: int = 3,
    seeds: int = 1,
    media: Sequence[str] = MEDIA,
    symbols: int = SYMBOLS,
    calls: bool = True,
    fast: bool = True,
    step: Step = lambda what, done, total: None,
) -> dict[str, Any]:
    """Return all figures of a machine.

    Parameters
    ----------
    config : :class:`~blindvisor.hdl.config.MachineConfig`
        The machine.
    guests : names
        Of :data:`GUESTS`.
    places : :class:`int`
        Places of each guest: a corner, the middle, the other corner.
    seeds : :class:`int`
        Sets of attackers around each, none of them used twice.
    media : names
        Of :data:`MEDIA`.
    symbols : :class:`int`
        Of each covert channel.
    calls : :class:`bool`
        Whether to time the hypervisor's calls and a mailbox too.
    fast : :class:`bool`
        Whether to spend compile time on speed.
    step : callable
        Told of progress.

    Returns
    -------
    :class:`dict`
        ``config``; ``runs``: per guest and place the cycles of each machine and of the runs among
        attackers, and where traces differ; ``controls``: what the same comparison says about the
        leaky machine; ``accesses``: by guest, machine and kind; ``covert``; ``calls``; ``mailbox``.
    """
    with tempfile.TemporaryDirectory(prefix="blindvisor-") as name:
        lab = Lab(config, Path(name), fast=fast)
        for number, variant in enumerate(VARIANTS):
            step("building machines", number, len(VARIANTS))
            lab.build(variant)
        step("building machines", len(VARIANTS), len(VARIANTS))
        figures: dict[str, Any] = {
            "config": config.name,
            "clusters": [config.width, config.height],
            "runs": [],
            "controls": [],
            "accesses": {},
            "covert": [],
        }
        chosen = [(guest, at) for guest in guests for at in _places(config, guest)[:places]]
        for number, (guest, at) in enumerate(chosen):
            step("guests", number, len(chosen))
            first = guest not in {run["guest"] for run in figures["runs"]}
            numbers = range(1 + number * seeds, 1 + (number + 1) * seeds)
            figures["runs"].append(_run(lab, guest, at, numbers, figures["accesses"], first))
            if first:
                control = _control(lab, guest, at, numbers[0], figures["accesses"][guest])
                figures["controls"].append(control)
        step("guests", len(chosen), len(chosen))
        for number, medium in enumerate(media):
            step("covert channels", number, len(media))
            for variant in ("shipped", "leaky"):
                figures["covert"].append(_covert(lab, variant, medium, symbols))
        step("covert channels", len(media), len(media))
        if calls:
            step("calls", 0, None)
            figures["calls"] = lab.run("shipped", "life_cycle", {"vms": _lives(lab)})
            figures["mailbox"] = lab.run(
                "shipped",
                "mailbox",
                {"victim": lab.guest("mailbox", (0, 0, 1, 1)), "words": _WORDS},
            )
        return figures


def _places(config: MachineConfig, guest: str) -> list[Rectangle]:
    width, height = GUESTS[guest]
    if width * height >= config.clusters:  # somebody else has to be there too
        height = 1
    return corners(config, width, height)


def _run(
    lab: Lab,
    guest: str,
    at: Rectangle,
    seeds: Sequence[int],
    times: dict[str, Any],
    first: bool,
) -> dict[str, Any]:
    """Run a guest alone on two machines, and among attackers on the shipped one."""
    alone = lab.victim("shipped", guest, at)
    unchecked = lab.victim("unchecked", guest, at)
    cycles = run_cycles(alone.recording)
    without = run_cycles(unchecked.recording)
    if first:
        times[guest] = {
            name: accesses(run.recording, at[2])
            for name, run in (("shipped", alone), ("unchecked", unchecked))
        }
    return {
        "guest": guest,
        "at": list(at),
        "cycles": cycles,
        "unchecked": without,
        "overhead": 100 * (cycles - without) / without,
        "unchecked_difference": _difference(alone, unchecked),
        "traced": len(alone.recording),
        "digest": alone.recording.digest(),
        "among": [_among(lab, "shipped", guest, at, seed, alone) for seed in seeds],
    }


def _among(
    lab: Lab, variant: str, guest: str, at: Rectangle, seed: int, alone: Run
) -> dict[str, Any]:
    crowded = lab.victim(variant, guest, at, seed=seed, cycles=alone.recorded)
    try:
        cycles = run_cycles(crowded.recording)
    except ValueError:  # slowed down so much that it has not said anything yet
        cycles = None
    return {
        "seed": seed,
        "attackers": crowded.attackers,
        "calls": crowded.calls,
        "cycles": cycles,
        "traced": len(crowded.recording),
        "digest": crowded.recording.digest(),
        "difference": _difference(alone, crowded),
    }


def _difference(left: Run, right: Run) -> dict[str, Any] | None:
    found = left.recording.first_difference(right.recording)
    if found is None:
        return None
    return {
        "cycle": found.cycle,
        "signal": ".".join(found.signal),
        "values": [found.left, found.right],
    }


def _control(
    lab: Lab, guest: str, at: Rectangle, seed: int, times: dict[str, Any]
) -> dict[str, Any]:
    """Compare traces on the leaky machine."""
    alone = lab.victim("leaky", guest, at)
    times["leaky"] = accesses(alone.recording, at[2])
    return {
        "guest": guest,
        "at": list(at),
        "cycles": run_cycles(alone.recording),
        "among": _among(lab, "leaky", guest, at, seed, alone),
    }


def _covert(lab: Lab, variant: str, medium: str, symbols: int) -> dict[str, Any]:
    """Send bits, and the same bits inverted; return what the receiver learned of them."""
    rng = random.Random(symbols)
    bits = [rng.randrange(2) for _ in range(symbols)]
    sent: list[int] = []
    seen: list[list[int]] = []
    far = 1 << 28 | _TARGET
    target = far if medium == "mesh" else channel_address(0)
    program = receiver(symbols, target, period=PERIOD)
    listens = lab.image([program, program], (0, 0, 2, 1))
    for bits_now in (bits, [1 - bit for bit in bits]):
        sends = None
        if medium != "monitor calls":
            # From below, guest coordinates (1, 15) are the receiver's second cluster.
            goal = 1 << 28 | 15 << 24 | _TARGET if medium == "mesh" else channel_address(0)
            flood = sender(bits_now, goal, period=PERIOD, busy=PERIOD * 3 // 4)
            sends = lab.image([flood], (0, 1, 1, 1))
        params = {
            "receiver": listens,
            "sender": sends,
            "calls": bits_now if sends is None else None,
            "symbols": symbols,
            "period": PERIOD,
        }
        sent += bits_now
        seen.append(lab.run(variant, "covert", params))
    bits_per_symbol = information(sent, seen[0] + seen[1])
    return {
        "variant": variant,
        "medium": medium,
        "symbols": 2 * symbols,
        "period": PERIOD,
        "bits_per_symbol": bits_per_symbol,
        "bits_per_million_cycles": bits_per_symbol * 1_000_000 / PERIOD,
        "sent": bits,
        "seen": seen,
    }


def _lives(lab: Lab) -> list[dict[str, Any]]:
    """Return VMs of all sizes that tell the parts of a load from each other."""
    config = lab.config
    whole = config.memory_bytes
    sizes = [(1, 1, whole // 4), (1, 1, whole), (2, 1, whole), (2, 2, whole)]
    if (config.width, config.height) != (2, 2):
        sizes.append((config.width, config.height, whole))
    filler = bytes(range(256))
    return [
        lab.image([filler * (size // 256)] * (width * height), (0, 0, width, height))
        for width, height, size in sizes
    ]


def judge(figures: dict[str, Any]) -> list[str]:
    """Return what is not as promised (P12, P13), and which control does not show it."""
    missed = []
    for run in figures["runs"]:
        name = f"{run['guest']} at {run['at'][0]},{run['at'][1]}"
        if run["cycles"] != run["unchecked"]:
            missed.append(
                f"{name}: must run {run['unchecked']} cycles as without checks, not {run['cycles']}"
            )
        for among in run["among"]:
            if among["difference"] is not None or among["traced"] != run["traced"]:
                where = among["difference"] or {"cycle": among["traced"], "signal": "its end"}
                missed.append(
                    f"{name}, seed {among['seed']}: its trace must not depend on attackers, and"
                    f" does from cycle {where['cycle']} on ({where['signal']})"
                )
    for guest, times in figures["accesses"].items():
        if times["shipped"] != times["unchecked"]:
            missed.append(f"{guest}: its accesses must take what they take without checks")
    for control in figures["controls"]:
        name = f"{control['guest']}, leaky machine"
        times = figures["accesses"][control["guest"]]
        for kind, shipped in times["shipped"].items():
            if kind.endswith("away") and times["leaky"][kind]["least"] <= shipped["least"]:
                missed.append(f"{name}: a cycle per packet must be seen in accesses {kind}")
        if control["among"]["difference"] is None:
            missed.append(f"{name}: its trace must depend on attackers, and does not")
    for found in figures["covert"]:
        leaky = found["variant"] == "leaky"
        if (found["bits_per_symbol"] > 0) != leaky:
            told = "more than 0 bits" if leaky else "0 bits"
            missed.append(
                f"covert channel over {found['medium']}, {found['variant']} machine: must tell"
                f" {told} per symbol, not {found['bits_per_symbol']:.3f}"
            )
    return missed
