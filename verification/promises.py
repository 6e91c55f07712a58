# SPDX-License-Identifier: Apache-2.0
"""The promises, what keeps each, the evidence for each, and the holes in it.

Written by hand are ``promises.toml``'s sentences, places, tests and holes. Proofs, attacks and
planted faults name their promises in their own catalogues and are collected from there.
"""

import ast
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from blindvisor.verification.attacks.catalogue import ATTACKS
from blindvisor.verification.controls.benches import BENCH_CONTROLS
from blindvisor.verification.controls.catalogue import FAULTS
from blindvisor.verification.formal.catalogue import PROOFS

__all__ = [
    "PAGE",
    "README",
    "ROOT",
    "Promise",
    "catalogue_problems",
    "load",
    "problems",
    "readme",
    "render",
    "write",
]

ROOT = Path(__file__).parents[1]
SOURCE = Path(__file__).with_suffix(".toml")
README = ROOT / "README.md"
PAGE = ROOT / "docs" / "promises.md"
"""``python -m blindvisor.verification.promises`` writes it, and the table in the README."""

IDENTIFIERS = tuple(f"P{number}" for number in range(1, 14))
_BEGIN, _END = "<!-- promises -->", "<!-- /promises -->"

_HEAD = """\
# The promises and the evidence

Made by `python -m blindvisor.verification.promises` from `verification/promises.toml` and from the
catalogues of proofs (`verification/formal/`), attacks (`verification/attacks/`) and planted faults
(`verification/controls/`); do not edit.

* A **proof** holds for all inputs and all time, under the assumptions that its specification
  lists. `blindvisor prove` runs it.
* An **attack** must be denied. `blindvisor attack` runs it.
* A **control** is a fault planted in a copy of the gateware: a proof, an attack or a bench that it
  belongs to must notice it. `blindvisor prove --control` and `blindvisor attack --control` run
  those of proofs and attacks, `tests/verification/test_loader_controls.py` those of benches.
* A **test** is a pytest test or a cocotb test (under `verification/benches/`) that one runs.
* A **hole** is what is assumed, bounded or not covered.
"""


@dataclass(frozen=True, kw_only=True)
class Promise:
    """One promise with all that belongs to it.

    Members
    -------
    name, title, promise : :class:`str`
        P1..P13, its short name, its sentence.
    code : :class:`tuple` of :class:`str`
        ``FILE:SYMBOL``, what keeps it.
    proofs, attacks, controls : :class:`tuple` of :class:`str`
        Names from the catalogues.
    tests : :class:`tuple` of :class:`str`
        ``FILE::FUNCTION``.
    holes : :class:`tuple` of :class:`str`
        What is assumed, bounded or not covered, one sentence each.
    """

    name: str
    title: str
    promise: str
    code: tuple[str, ...]
    proofs: tuple[str, ...]
    tests: tuple[str, ...]
    attacks: tuple[str, ...]
    controls: tuple[str, ...]
    holes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {key: list(v) if isinstance(v, tuple) else v for key, v in asdict(self).items()}


def load(source: Path = SOURCE) -> dict[str, Promise]:
    """Return all promises in order.

    Raises
    ------
    :exc:`ValueError`
        If the file's tables are not P1..P13, or one has other keys than it must have.
    """
    written = tomllib.loads(source.read_text())
    if tuple(written) != IDENTIFIERS:
        raise ValueError(f"{source.name} must have the tables P1..P13, not {', '.join(written)}")
    keys = {"title", "promise", "code", "tests", "holes"}
    promises = {}
    for name, table in written.items():
        if table.keys() != keys:
            raise ValueError(f"{name} must have the keys {', '.join(sorted(keys))}, not {[*table]}")
        promises[name] = Promise(
            name=name,
            proofs=_naming(name, PROOFS),
            attacks=_naming(name, ATTACKS),
            controls=_naming(name, FAULTS),
            title=table["title"],
            promise=table["promise"],
            **{key: tuple(table[key]) for key in ("code", "tests", "holes")},
        )
    return promises


def problems(promises: Iterable[Promise]) -> list[str]:
    """Return, one sentence each, what names something that is not there, or lacks evidence."""
    found = []
    for promise in promises:
        for place in promise.code:
            file, _, symbol = place.partition(":")
            if not symbol or symbol not in _symbols(ROOT / file):
                found.append(f"{promise.name}: the code {place} does not exist")
        for test in promise.tests:
            file, _, function = test.partition("::")
            if function not in _tests(ROOT / file):
                found.append(f"{promise.name}: the test {test} does not exist")
        found += [
            f"{promise.name} must have at least one entry in {key}"
            for key in ("code", "tests", "controls", "holes")
            if not getattr(promise, key)
        ]
        if not promise.proofs and not promise.attacks:
            found.append(f"{promise.name} must have a proof or an attack")
    return found


def catalogue_problems() -> list[str]:
    """Return what does not fit between proofs, attacks and faults."""
    found = []
    checks = {f"proof {name}": proof for name, proof in PROOFS.items()}
    checks |= {f"attack {name}": attack for name, attack in ATTACKS.items()}
    checks |= {f"bench {each.name} with {each.fault}": each for each in BENCH_CONTROLS}
    for name, entry in (*checks.items(), *((f"fault {n}", f) for n, f in FAULTS.items())):
        unknown = set(entry.promises) - set(IDENTIFIERS)
        found += [f"{name} names {promise}, which is no promise" for promise in sorted(unknown)]
        if not entry.promises:
            found.append(f"{name} must name a promise")
    for name, check in checks.items():
        absent = [control for control in check.controls if control not in FAULTS]
        found += [f"{name} names the fault {control}, which does not exist" for control in absent]
        # Proofs of one specification in several sizes, NAME-SIZE, may share theirs.
        family = re.sub(r"-\d+$", "", name)
        if not any(
            other.controls for n, other in checks.items() if re.sub(r"-\d+$", "", n) == family
        ):
            found.append(f"{name} must have a control")
    for name, fault in FAULTS.items():
        users = [check for check in checks.values() if name in check.controls]
        if not any(set(check.promises) & set(fault.promises) for check in users):
            found.append(
                f"fault {name} must be a control of a proof, an attack or a bench of its promises"
            )
    return found


def render(promises: Iterable[Promise]) -> str:
    """Return the page's text."""
    parts = [_HEAD]
    for promise in promises:
        parts += [
            f"## {promise.name} {promise.title}\n",
            f"{promise.promise}\n",
            _row("Kept by", promise.code),
            _row("Proofs", promise.proofs, otherwise="**none**"),
            _row("Attacks", promise.attacks, otherwise="**none**"),
            _row("Controls", promise.controls),
            _row("Tests", promise.tests),
            "* Holes:",
            *(f"  * {hole}" for hole in promise.holes),
            "",
        ]
    return "\n".join(parts)


def readme(promises: Iterable[Promise], text: str) -> str:
    """Return the README ``text`` with the table between its markers made anew.

    Raises
    ------
    :exc:`ValueError`
        If the markers are not there, each once.
    """
    if text.count(_BEGIN) != 1 or text.count(_END) != 1:
        raise ValueError(f"README.md must have {_BEGIN} and {_END} once each")
    rows = ["| | promise | proofs | attacks | tests | controls |", "|---|---|---|---|---|---|"]
    rows += [
        f"| {p.name} | **{p.title}**: {p.promise} | {_names(p.proofs)} | {_names(p.attacks)}"
        f" | {len(p.tests)} | {len(p.controls)} |"
        for p in promises
    ]
    before, _, rest = text.partition(_BEGIN)
    after = rest.partition(_END)[2]
    return "\n".join((before + _BEGIN, *rows, _END + after))


def write() -> None:
    """Write page and table anew."""
    promises = load().values()
    PAGE.write_text(render(promises))
    README.write_text(readme(promises, README.read_text()))


def _naming(promise: str, catalogue: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(name for name, entry in catalogue.items() if promise in entry.promises)


def _names(names: tuple[str, ...]) -> str:
    return ", ".join(names) or "**none**"


def _row(title: str, names: tuple[str, ...], otherwise: str = "") -> str:
    return f"* {title}: " + (", ".join(f"`{name}`" for name in names) or otherwise)


@cache
def _definitions(file: Path) -> tuple[Any, ...]:
    if not file.is_file():
        return ()
    body = ast.parse(file.read_text()).body
    return tuple(
        node
        for node in body
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
    )


def _symbols(file: Path) -> set[str]:
    """Names of classes, functions, and methods as CLASS.METHOD, that a file defines."""
    found = set()
    for node in _definitions(file):
        found.add(node.name)
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{n.name}" for n in node.body if isinstance(n, ast.FunctionDef)}
    return found


def _tests(file: Path) -> set[str]:
    """Names of pytest's or cocotb's tests in a file."""
    functions = [node for node in _definitions(file) if not isinstance(node, ast.ClassDef)]
    if file.is_relative_to(ROOT / "tests"):
        return {node.name for node in functions if node.name.startswith("test_")}
    return {
        node.name
        for node in functions
        if any(ast.unparse(d).startswith("cocotb.test") for d in node.decorator_list)
    }


if __name__ == "__main__":
    write()
