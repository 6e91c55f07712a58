# SPDX-License-Identifier: Apache-2.0
"""Renders what a demonstration found as one HTML page that needs nothing else."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2

from blindvisor.hdl.config import MachineConfig
from blindvisor.verification.attacks.attack import Attack, Outcome, Verdict
from blindvisor.verification.report.evidence import Evidence

__all__ = ["PROMISES", "Guest", "Phase", "Report", "render"]

TEMPLATES = Path(__file__).parent

PROMISES = {
    "P1": "confidentiality: only a VM's own cores and the loader read its clusters",
    "P2": "integrity: only they write them",
    "P3": "ownership changes by the monitor alone, on the edges of the lifecycle",
    "P4": "no cluster belongs to two VMs; a VM is one rectangle",
    "P5": "memory, core and interrupt state are gone before a cluster is free",
    "P6": "no core runs before the whole image is authenticated",
    "P7": "no key and no plaintext leaves the loader, except into the VM's clusters",
    "P8": "fail closed: what is not allowed by name is denied, and gets an answer",
    "P9": "every denial is counted, and tells nothing of the guest",
    "P10": "a channel answers its owner alone and is cleared when that changes",
    "P11": "a VM sees its own interrupts only",
    "P12": "what a VM observes does not depend on others, cycle by cycle",
    "P13": "the checks add no cycle",
}
"""In short; in full: the architecture page of the documentation."""

_CELL, _GAP, _EDGE = 84, 20, 34  # of the map, in its own units


@dataclass(frozen=True, kw_only=True)
class Guest:
    """A guest that ran.

    Parameters
    ----------
    name : :class:`str`
        What it is.
    x, y, width, height : :class:`int`
        Its rectangle.
    output : :class:`str`
        What it printed.
    right : :class:`bool`
        Whether that is what it had to print.
    load_cycles, run_cycles : :class:`int` or None
        What it took; None: it did not end.
    """

    name: str
    x: int
    y: int
    width: int
    height: int
    output: str
    right: bool
    load_cycles: int | None
    run_cycles: int | None


@dataclass(frozen=True)
class Phase:
    """A part of the demonstration: what, wall-clock seconds, cycles simulated (0: none)."""

    what: str
    seconds: float
    cycles: int = 0


@dataclass(frozen=True, kw_only=True)
class Report:
    """All that the page shows."""

    config: MachineConfig
    guests: Sequence[Guest]
    attacks: Sequence[tuple[Attack, Outcome]]
    phases: Sequence[Phase]
    version: str
    evidence: Sequence[Evidence] = ()
    """Measured before, by other commands."""

    @property
    def ok(self) -> bool:
        """Every guest right, every attack blocked."""
        return self.guests_right and all(outcome.blocked for _, outcome in self.attacks)

    @property
    def guests_right(self) -> bool:
        """Every guest printed what it had to."""
        return bool(self.guests) and all(guest.right for guest in self.guests)

    @property
    def blocked(self) -> int:
        """Attacks blocked in the way the contract asks for."""
        return sum(outcome.blocked for _, outcome in self.attacks)


def render(report: Report) -> str:
    """Return the page; identical for equal reports."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    tries = {
        promise: [outcome for attack, outcome in report.attacks if promise in attack.promises]
        for promise in PROMISES
    }
    return environment.get_template("page.html.j2").render(
        report=report,
        config=report.config,
        map=_mesh(report),
        promises=[
            (promise, text, sum(o.blocked for o in tries[promise]), len(tries[promise]))
            for promise, text in PROMISES.items()
        ],
        threats=_threats(report.attacks),
        succeeded=Verdict.SUCCEEDED,
        total_seconds=sum(phase.seconds for phase in report.phases),
        total_cycles=sum(phase.cycles for phase in report.phases),
    )


def _threats(attacks: Sequence[tuple[Attack, Outcome]]) -> list[tuple[str, list[tuple[int, int]]]]:
    """By threat, and there by promise: attacks blocked, and attacks."""
    rows: dict[str, dict[str, list[bool]]] = {}
    for attack, outcome in attacks:
        row = rows.setdefault(attack.threat, {promise: [] for promise in PROMISES})
        for promise in attack.promises:
            row[promise].append(outcome.blocked)
    return [
        (threat, [(sum(blocked), len(blocked)) for blocked in row.values()])
        for threat, row in rows.items()
    ]


def _mesh(report: Report) -> dict[str, object]:
    """Place clusters, links and rectangles of the map."""
    config = report.config
    step = _CELL + _GAP
    owners = {
        (guest.x + i, guest.y + j): number
        for number, guest in enumerate(report.guests, start=1)
        for i in range(guest.width)
        for j in range(guest.height)
    }
    cells = [
        {
            "left": _EDGE + x * step,
            "top": _EDGE + y * step,
            "name": f"{x},{y}",
            "vm": (vm := owners.get((x, y), 0)),
            "guest": _guest_place(report, vm, x, y),
        }
        for y in range(config.height)
        for x in range(config.width)
    ]
    links = []
    for (x, y), (dx, dy) in (
        (place, direction)
        for place in ((x, y) for y in range(config.height) for x in range(config.width))
        for direction in ((1, 0), (0, 1))
    ):
        if x + dx >= config.width or y + dy >= config.height:
            continue
        owner = owners.get((x, y), 0)
        same = owner and owner == owners.get((x + dx, y + dy))
        left, top = _EDGE + x * step + _CELL // 2, _EDGE + y * step + _CELL // 2
        links.append(
            {
                "x1": left + dx * _CELL // 2,
                "y1": top + dy * _CELL // 2,
                "x2": left + dx * (_CELL // 2 + _GAP),
                "y2": top + dy * (_CELL // 2 + _GAP),
                "vm": owner if same else 0,
            }
        )
    borders = [
        {
            "left": _EDGE + guest.x * step - 8,
            "top": _EDGE + guest.y * step - 8,
            "width": guest.width * step - _GAP + 16,
            "height": guest.height * step - _GAP + 16,
            "vm": number,
        }
        for number, guest in enumerate(report.guests, start=1)
    ]
    return {
        "cells": cells,
        "links": links,
        "borders": borders,
        "cell": _CELL,
        "width": 2 * _EDGE + config.width * step - _GAP,
        "height": 2 * _EDGE + config.height * step - _GAP,
    }


def _guest_place(report: Report, vm: int, x: int, y: int) -> str:
    """Coordinates as the VM sees them."""
    if not vm:
        return ""
    guest = report.guests[vm - 1]
    return f"{x - guest.x},{y - guest.y}"
