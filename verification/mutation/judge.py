# SPDX-License-Identifier: Apache-2.0
"""Whether the proofs of a block notice a mutant of it."""

import gc
import hashlib
import json
import re
import tomllib
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from amaranth.hdl import UnusedElaboratable

from blindvisor.sw.files import write_whole
from blindvisor.verification.formal import engines, flow
from blindvisor.verification.formal.catalogue import PROOFS
from blindvisor.verification.formal.engines import bmc, induction, pdr, pdr_available
from blindvisor.verification.formal.flow import Design, FlowError, Prepared, convert, translate
from blindvisor.verification.formal.proof import Engine, Proof
from blindvisor.verification.mutation import equivalent
from blindvisor.verification.mutation.equivalent import is_equivalent
from blindvisor.verification.mutation.mutants import Block, Mutant, find_block, make_mutants

__all__ = ["SURVIVORS", "Fate", "Judged", "Session", "explanations", "modules", "prepare"]

SURVIVORS = Path(__file__).with_name("survivors.toml")
"""Why each known survivor survives."""

_SHALLOW, _DEEP = 4, 24  # steps: most counterexamples are short; what PDR cannot be had for
_COMPARISON = 60.0  # seconds
KINDS = ("equivalent", "performance", "assumption")


class Fate(StrEnum):
    """What became of a mutant."""

    KILLED = "killed"
    """A proof has a counterexample."""
    EQUIVALENT = "equivalent"
    """None has, and the mutant is proved to do the same as the block: it cannot be killed."""
    SURVIVED = "survived"
    """Every proof of the block holds for it, although it does something else."""
    UNKNOWN = "unknown"
    """Neither was shown in time."""


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A mutant and its fate.

    Members
    -------
    by : :class:`str`
        Proof and violated claim.
    why : :class:`str`
        For a survivor: the explanation that is on file, or empty.
    """

    mutant: Mutant
    fate: Fate
    by: str = ""
    why: str = ""
    cached: bool = False


@dataclass(frozen=True, kw_only=True)
class Session:
    """A block with its mutants and with the proofs that judge them."""

    module: str
    block: Block
    mutants: list[Mutant]
    judges: dict[str, Design]

    def run(self, folder: Path, *, jobs: int) -> Iterator[Judged]:
        """Judge all mutants, in order."""
        why = explanations(self)
        with ThreadPoolExecutor(jobs) as pool:
            for judged in pool.map(partial(self._judge, folder), self.mutants):
                known = "" if judged.fate is Fate.KILLED else why.get(judged.mutant.name, "")
                yield replace(judged, why=known)

    def _judge(self, folder: Path, mutant: Mutant) -> Judged:
        """Ask the proofs in turn; one that notices is enough. If none does, compare."""
        fate, remarks, all_cached = Fate.SURVIVED, [], True
        for name, design in self.judges.items():
            found, by, cached = self._remembered(PROOFS[name], design, mutant, folder)
            all_cached &= cached
            if found in (Fate.KILLED, Fate.EQUIVALENT):
                by = f"{name}: {by}" if by else ""
                return Judged(mutant=mutant, fate=found, by=by, cached=cached)
            if found is Fate.UNKNOWN:
                fate = found
                remarks.append(f"{name}: {by}")
        return Judged(mutant=mutant, fate=fate, by=", ".join(remarks), cached=all_cached)

    def _remembered(
        self, proof: Proof, design: Design, mutant: Mutant, folder: Path
    ) -> tuple[Fate, str, bool]:
        entry = folder / "cache" / f"{_key(proof, design, mutant)}.json"
        if (known := _known(entry)) is not None:
            return *known, True
        with TemporaryDirectory(prefix="mutant-", dir=folder) as work:
            try:
                fate, by = self._ask(proof, design, mutant, Path(work))
            except FlowError as error:
                return Fate.UNKNOWN, str(error), False
        if fate is not Fate.UNKNOWN:
            _write_cached(entry, fate, by)
        return fate, by, False

    def _ask(self, proof: Proof, design: Design, mutant: Mutant, work: Path) -> tuple[Fate, str]:
        fate, by = _judge(proof, design, f"{self.block.ready}{mutant.command}\n", work)
        if fate is not Fate.KILLED and pdr_available():
            limit = min(proof.seconds, _COMPARISON)
            if is_equivalent(design, self.block, mutant, work, seconds=limit):
                return Fate.EQUIVALENT, ""
        return fate, by


def modules() -> dict[str, type]:
    """Return the proofs that are about one block, their submodule ``dut``, and its class."""
    found = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnusedElaboratable)  # made to be looked at
        for name, proof in PROOFS.items():
            if (dut := getattr(proof.spec(), "dut", None)) is not None:
                found[name] = type(dut)
                del dut
        gc.collect()
    return found


def prepare(module: str, folder: Path, *, most: int | None) -> Session:
    """Make mutants of the block of a proof, and find all proofs about the very same block.

    Raises
    ------
    :exc:`FlowError`
        If the proof is not about one block.
    """
    known = modules()
    if module not in known:
        raise FlowError(f"a module must be one of {', '.join(known)}, not {module}")
    design = convert(PROOFS[module].spec())
    block = find_block(design)
    judges = {module: design}
    for name in known:
        if name != module and known[name] is known.get(module):
            other = convert(PROOFS[name].spec())
            if find_block(other) == block:
                judges[name] = other
    if any(PROOFS[name].engine is Engine.PDR for name in judges) and not pdr_available():
        raise FlowError("PDR needs berkeley-abc: sudo apt-get install berkeley-abc")
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="list-", dir=folder) as work:
        mutants = make_mutants(design, block, Path(work), most=most)
    return Session(module=module, block=block, mutants=mutants, judges=judges)


def explanations(session: Session, source: Path = SURVIVORS) -> dict[str, str]:
    """Return why the survivors on file survive, by mutant; nothing if the block has changed since.

    Raises
    ------
    :exc:`ValueError`
        If an entry has another kind than it may have.
    """
    table = tomllib.loads(source.read_text()).get(session.module, {})
    if table.get("block") != session.block.digest:
        return {}
    found = {}
    for entry in table.get("survivors", ()):
        if entry["kind"] not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}, not {entry['kind']}")
        found |= dict.fromkeys(entry["mutants"], f"{entry['kind']}: {entry['why']}")
    return found


def _judge(proof: Proof, design: Design, edit: str, work: Path) -> tuple[Fate, str]:
    translate(design, work, aiger=False, edit=edit)
    mutated = Prepared(folder=work, counts=design.counts, registers=0)
    quick = bmc(mutated, solver="yices", steps=_SHALLOW, seconds=proof.seconds)
    if quick.holds is False:
        return Fate.KILLED, _claims(design, quick.detail)
    if proof.engine is Engine.PDR:
        translate(design, work, aiger=True, edit=edit)
        answer = pdr(mutated, seconds=proof.seconds)
        if answer.holds is False:
            return Fate.KILLED, f"counterexample of {answer.step + 1} steps"
        return (Fate.SURVIVED if answer.holds else Fate.UNKNOWN), answer.detail
    base = bmc(mutated, solver="yices", steps=_DEEP, seconds=proof.seconds)
    if base.holds is False:
        return Fate.KILLED, _claims(design, base.detail)
    step = induction(mutated, solver=proof.solver, steps=proof.steps, seconds=proof.seconds)
    return (Fate.SURVIVED if base.holds and step.holds else Fate.UNKNOWN), step.detail


def _claims(design: Design, detail: str) -> str:
    """Return the claims that stand in a specification for the cells in a solver's words."""
    written = re.findall(r'cell \$check \\?(\S+)\n\s*parameter \\FORMAT "([^"]*)"', design.text)
    claims = dict(written)
    cells = re.split(r",\s*", detail)
    return ", ".join(sorted({claims.get(cell, cell) for cell in cells}))


def _key(proof: Proof, design: Design, mutant: Mutant) -> str:
    how = (design.text, mutant.command, proof.engine.value, proof.solver, proof.steps)
    return hashlib.sha256(repr(how).encode()).hexdigest()[:24]


def _tools() -> str:
    """Digest of what makes a survivor; a counterexample stays one."""
    files = (flow.__file__, engines.__file__, equivalent.__file__, __file__)
    return hashlib.sha256(b"".join(Path(str(f)).read_bytes() for f in files)).hexdigest()[:24]


def _known(entry: Path) -> tuple[Fate, str] | None:
    try:
        fate, by, tools = json.loads(entry.read_text())
        return (Fate(fate), by) if fate == Fate.KILLED or tools == _tools() else None
    except (OSError, ValueError, TypeError):
        return None  # nothing there, or a file that a crash left: judge again


def _write_cached(entry: Path, fate: Fate, by: str) -> None:
    entry.parent.mkdir(exist_ok=True)
    write_whole(entry, json.dumps([fate, by, _tools()]).encode())
