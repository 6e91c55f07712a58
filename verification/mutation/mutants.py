# SPDX-License-Identifier: Apache-2.0
"""Mutants of a block: one wire inverted or stuck, in the very netlist that is proved."""

import hashlib
import json
import random
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from blindvisor.verification.formal.flow import Design, FlowError, run_yosys

__all__ = ["SEED", "SELECT", "Block", "Mutant", "find_block", "make_mutants"]

SEED = 1
SELECT = "mutant_select"
ALL = 10_000_000  # Yosys' own choice of some never ends if a block is small


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """One change.

    Members
    -------
    name : :class:`str`
        MODE CELL.PORT[BIT]; the same for the same block.
    module : :class:`str`
        Where in the block, as in :attr:`Block.modules`.
    options : :class:`str`
        What makes Yosys change it there.
    where : :class:`str`
        For people: the kind of cell, and the named nets that it joins.
    """

    name: str
    module: str
    options: str
    where: str


@dataclass(frozen=True, kw_only=True)
class Block:
    """The modules of a design that are the block proved, without its specification.

    Members
    -------
    instances : :class:`tuple` of :class:`str`
        Names of the block in the specification, which may have it more than once.
    modules : :class:`tuple` of :class:`str`
        Its modules: nothing for itself, ``.PART`` for a part of it.
    digest : :class:`str`
        Of their text: equal for the same gateware, whatever its specification says.
    """

    instances: tuple[str, ...]
    modules: tuple[str, ...]
    digest: str

    @property
    def ready(self) -> str:
        """Commands that bring the block to gates, without constant ones, and name them.

        The specification is left alone, so that nothing here depends on it.
        """
        every = [f"top.{instance}{part}" for instance in self.instances for part in self.modules]
        names = " ".join(every)
        gates = " ".join(f"{module}/c:*" for module in every)
        return (
            f"proc -norom {names}\nsimplemap {names} t:$dff %d\nopt_expr {names}\n"
            f"opt_clean {names}\nrename -enumerate -pattern g% {gates}\n"
        )

    def changed(self, mutant: Mutant) -> str:
        """Return commands that make the change in every instance."""
        return "".join(
            f"mutate {mutant.options} -module top.{instance}{mutant.module}\n"
            for instance in self.instances
        )

    def switched(self, mutants: list[Mutant]) -> str:
        """Return commands after which an input of the top chooses one of the changes.

        Its name is :data:`SELECT`: 0 for none of them, else the number of one, from 1 on.
        """
        bits = len(mutants).bit_length()
        return "".join(
            self.changed(replace(mutant, options=f"-ctrl {SELECT} {bits} {n} {mutant.options}"))
            for n, mutant in enumerate(mutants, 1)
        )


def find_block(design: Design, instances: tuple[str, ...] = ("dut",)) -> Block:
    """Find a block by the names of all its instances in the specification.

    Raises
    ------
    :exc:`FlowError`
        If one is not there, or is not the same as the others.
    """
    found = [_texts(design, instance) for instance in instances]
    for name, texts in zip(instances, found, strict=True):
        if not texts:
            raise FlowError(f"a block that is mutated must be in its specification, not so {name}")
        if texts != found[0]:
            raise FlowError(f"instances of a block must be equal: {instances[0]} and {name} differ")
    digest = hashlib.sha256(json.dumps(found[0], sort_keys=True).encode()).hexdigest()[:16]
    return Block(instances=instances, modules=tuple(found[0]), digest=digest)


def _texts(design: Design, instance: str) -> dict[str, str]:
    """Return the text of each module of an instance, as if it were called by no name."""
    name = re.escape(f"top.{instance}")
    texts = re.findall(rf"^module \\{name}((?:\.\S+)?)\n(.*?)^end$", design.text, re.M | re.S)
    return {part: text.replace(f"\\top.{instance}.", "\\.") for part, text in texts}


def make_mutants(
    design: Design,
    block: Block,
    folder: Path,
    *,
    most: int | None,
    parts: tuple[str, ...] = (),
) -> list[Mutant]:
    """Return all mutants, or ``most`` of them, drawn at random; if given, of these parts alone.

    The same block gives the same mutants, and fewer of them are among more of them. Registers are
    changed at their inputs: without a clock nothing is synchronous, and what reads a register is
    changed by itself. A constant made the same constant is no mutant.
    """
    (folder / "top.il").write_text(design.text)
    places = " ".join(f"top.{block.instances[0]}{part}" for part in parts or block.modules)
    script = (
        f"read_rtlil top.il\nhierarchy -check -top top\n{block.ready}"
        f"mutate -list {ALL} -o mutants.txt {places}\n"
        "delete top\nproc -norom\nwrite_json block.json\n"
    )
    run_yosys(script, folder, "mutants")
    netlist = json.loads((folder / "block.json").read_text())["modules"]
    lines = (folder / "mutants.txt").read_text().splitlines()
    prefix = f"top.{block.instances[0]}"
    mutants = [found for line in lines if (found := _mutant(line, netlist, prefix)) is not None]
    different = list({mutant.name: mutant for mutant in mutants}.values())
    random.Random(SEED).shuffle(different)
    # The clock of a part is the top's, which a proof checks; netlists of solvers have none.
    chosen = [one for one in different if not re.search(r"\.clk\[0\]", one.name)][:most]
    names = {part: _named(netlist[f"{prefix}{part}"]) for part in {one.module for one in chosen}}
    return [
        replace(one, where=_where(netlist[f"{prefix}{one.module}"], names[one.module], one.options))
        for one in chosen
    ]


def _mutant(line: str, netlist: dict[str, Any], prefix: str) -> Mutant | None:
    words = line.split()
    given = dict(zip(words[1::2], words[2::2], strict=True))
    module = given["-module"].removeprefix("\\")
    cell, port, bit = (given[key].removeprefix("\\") for key in ("-cell", "-port", "-portbit"))
    net = netlist[module]["cells"][cell]["connections"][port][int(bit)]
    if port in ("CLK", "Q") or given["-mode"] == f"const{net}":
        return None
    part = module.removeprefix(prefix)
    where = f"{part[1:]}/{cell}" if part else cell
    name = f"{given['-mode']} {where}.{port}[{bit}]"
    if "-ctrlbit" in given:
        name += f" by {given['-ctrlbit']}"
    kept = ("-mode", "-cell", "-port", "-portbit", "-ctrlbit")
    options = " ".join(f"{key} {given[key]}" for key in kept if key in given)
    return Mutant(name=name, module=part, options=options, where="")


def _named(module: dict[str, Any]) -> dict[int, str]:
    """Return the names that the source gave to bits of nets."""
    named: dict[int, str] = {}
    for net, entry in module["netnames"].items():
        if not entry.get("hide_name"):
            for index, bit in enumerate(entry["bits"]):
                if isinstance(bit, int):  # not a constant
                    named.setdefault(bit, f"{net}[{index}]" if len(entry["bits"]) > 1 else net)
    for register in module["cells"].values():
        if register["type"] == "$dff":
            ends = (register["connections"][port] for port in ("D", "Q"))
            for after, bit in zip(*ends, strict=True):
                if isinstance(after, int) and bit in named:
                    named.setdefault(after, f"next {named[bit]}")
    return named


def _where(module: dict[str, Any], named: dict[int, str], options: str) -> str:
    """Return the kind of a cell, and each port's nets by name."""
    words = options.split()
    found = module["cells"][words[words.index("-cell") + 1].removeprefix("\\")]
    ports = []
    for port, bits in found["connections"].items():
        nets = [named.get(bit, bit if isinstance(bit, str) else "?") for bit in bits[:4]]
        more = "" if len(bits) <= 4 else f", ... {len(bits)}"
        ports.append(f"{port}=({', '.join(nets)}{more})")
    return f"{found['type']} {' '.join(ports)}"
