# SPDX-License-Identifier: Apache-2.0
"""Mutants of a block: one wire inverted or stuck, in the very netlist that is proved."""

import hashlib
import json
import random
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blindvisor.verification.formal.flow import Design, FlowError, run_yosys

__all__ = ["Block", "Mutant", "find_block", "make_mutants"]

SEED = 1
ALL = 10_000_000  # Yosys' own choice of some never ends if a block is small


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """One change.

    Members
    -------
    name : :class:`str`
        MODE CELL.PORT[BIT]; the same for the same block.
    command : :class:`str`
        What makes Yosys change it.
    where : :class:`str`
        For people: the kind of cell, and the named nets that it joins.
    """

    name: str
    command: str
    where: str


@dataclass(frozen=True, kw_only=True)
class Block:
    """The modules of a design that are the block proved, without its specification.

    Members
    -------
    modules : :class:`tuple` of :class:`str`
        Their names.
    digest : :class:`str`
        Of their text: equal for the same gateware, whatever its specification says.
    """

    modules: tuple[str, ...]
    digest: str

    @property
    def ready(self) -> str:
        """Commands that bring the block to gates, without constant ones, and name them.

        The specification is left alone, so that nothing here depends on it.
        """
        names = " ".join(self.modules)
        gates = " ".join(f"{module}/c:*" for module in self.modules)
        return (
            f"proc -norom {names}\nsimplemap {names} t:$dff %d\nopt_expr {names}\n"
            f"opt_clean {names}\nrename -enumerate -pattern g% {gates}\n"
        )


def find_block(design: Design) -> Block:
    """Find the specification's submodule ``dut``.

    Raises
    ------
    :exc:`FlowError`
        If there is none.
    """
    texts = dict(
        re.findall(r"^module \\(top\.dut(?:\.\S+)?)\n(.*?)^end$", design.text, re.M | re.S)
    )
    if not texts:
        raise FlowError("a specification whose block is mutated must name it `dut`")
    digest = hashlib.sha256(json.dumps(texts, sort_keys=True).encode()).hexdigest()[:16]
    return Block(modules=tuple(texts), digest=digest)


def make_mutants(design: Design, block: Block, folder: Path, *, most: int | None) -> list[Mutant]:
    """Return all mutants, or ``most`` of them, drawn at random.

    The same block gives the same mutants, and fewer of them are among more of them. Registers are
    changed at their inputs: without a clock nothing is synchronous, and what reads a register is
    changed by itself. A constant made the same constant is no mutant.
    """
    (folder / "top.il").write_text(design.text)
    names = " ".join(block.modules)
    script = (
        f"read_rtlil top.il\nhierarchy -check -top top\n{block.ready}"
        f"mutate -list {ALL} -o mutants.txt {names}\n"
        "delete top\nwrite_json block.json\n"
    )
    run_yosys(script, folder, "mutants")
    netlist = json.loads((folder / "block.json").read_text())
    lines = (folder / "mutants.txt").read_text().splitlines()
    mutants = [mutant for line in lines if (mutant := _mutant(line, netlist)) is not None]
    different = list({mutant.name: mutant for mutant in mutants}.values())
    random.Random(SEED).shuffle(different)
    return different[:most]


def _mutant(line: str, netlist: dict[str, Any]) -> Mutant | None:
    words = line.split()
    given = dict(zip(words[1::2], words[2::2], strict=True))
    module = given["-module"].removeprefix("\\")
    cell, port, bit = (given[key].removeprefix("\\") for key in ("-cell", "-port", "-portbit"))
    net = netlist["modules"][module]["cells"][cell]["connections"][port][int(bit)]
    if port in ("CLK", "Q") or given["-mode"] == f"const{net}":
        return None
    inside = module.removeprefix("top.dut").removeprefix(".")
    where = f"{inside}/{cell}" if inside else cell
    name = f"{given['-mode']} {where}.{port}[{bit}]"
    if "-ctrlbit" in given:
        name += f" by {given['-ctrlbit']}"
    command = " ".join(words)
    return Mutant(name=name, command=command, where=_where(netlist["modules"][module], cell))


def _where(module: dict[str, Any], cell: str) -> str:
    """Kind of a cell, and each port's nets by the names that the source gave them."""
    named: dict[int, str] = {}
    for net, entry in module["netnames"].items():
        if not entry.get("hide_name"):
            for index, bit in enumerate(entry["bits"]):
                if isinstance(bit, int):  # not a constant
                    named.setdefault(bit, f"{net}[{index}]" if len(entry["bits"]) > 1 else net)
    found = module["cells"][cell]
    ports = []
    for port, bits in found["connections"].items():
        nets = [named.get(bit, bit if isinstance(bit, str) else "?") for bit in bits[:4]]
        more = "" if len(bits) <= 4 else f", ... {len(bits)}"
        ports.append(f"{port}=({', '.join(nets)}{more})")
    return f"{found['type']} {' '.join(ports)}"
