# SPDX-License-Identifier: Apache-2.0
"""Whether the proofs of a block notice a mutant of it."""

import hashlib
import json
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory

from blindvisor.sw.files import write_whole
from blindvisor.verification.formal import engines, flow
from blindvisor.verification.formal.catalogue import PROOFS
from blindvisor.verification.formal.engines import pdr_available
from blindvisor.verification.formal.flow import Design, FlowError, convert
from blindvisor.verification.formal.proof import Engine, Proof
from blindvisor.verification.mutation import netlist, switch
from blindvisor.verification.mutation.mutants import Block, Mutant, find_block, make_mutants
from blindvisor.verification.mutation.switch import Comparison, Switch
from blindvisor.verification.mutation.targets import TARGETS, Judge

__all__ = ["SURVIVORS", "Bench", "Fate", "Inquiry", "Judged", "Session", "explanations", "prepare"]

SURVIVORS = Path(__file__).with_name("survivors.toml")
"""Why each known survivor survives."""

KINDS = ("equivalent", "performance", "assumption")

_SEARCH, _PROOF, _COMPARISON = 10.0, 60.0, 5.0  # seconds


class Fate(StrEnum):
    """What became of a mutant."""

    KILLED = "killed"
    """A proof has a counterexample, or is not inductive any more: it fails."""
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
class Bench:
    """A proof with the block in its specification."""

    judge: Judge
    design: Design
    block: Block

    @property
    def proof(self) -> Proof:
        """The proof, as it is in the catalogue."""
        return PROOFS[self.judge.proof]

    def key(self, mutant: Mutant) -> str:
        """Return a name for the mutated netlist with its specification, and how it is proved."""
        how = (self.proof.engine.value, self.proof.solver, self.proof.steps)
        return _digest(self.design.text, self.block.instances, mutant.module, mutant.options, how)


@dataclass(frozen=True, kw_only=True)
class Session:
    """A block with its mutants and with the proofs that judge them."""

    module: str
    mutants: list[Mutant]
    benches: list[Bench]

    @property
    def block(self) -> Block:
        """The block, as the first proof has it."""
        return self.benches[0].block

    def run(self, folder: Path, *, jobs: int) -> Iterator[Judged]:
        """Judge all mutants, in order.

        Raises
        ------
        :exc:`FlowError`
            If a proof has a counterexample without any mutant.
        """
        why = explanations(self)
        with (
            TemporaryDirectory(prefix=f"{self.module}-", dir=folder) as work,
            ThreadPoolExecutor(jobs) as pool,
        ):
            inquiry = Inquiry(self, folder / "cache", Path(work))
            for judged in pool.map(inquiry.judge, self.mutants):
                known = "" if judged.fate is Fate.KILLED else why.get(judged.mutant.name, "")
                yield replace(judged, why=known)


class Inquiry:
    """Judges mutants of a session; what was judged once is remembered."""

    def __init__(self, session: Session, cache: Path, work: Path) -> None:
        self._session, self._cache, self._work = session, cache, work
        self._numbers = {mutant.name: n for n, mutant in enumerate(session.mutants, 1)}
        self._switches: dict[str, Switch] = {}
        self._inductive: set[str] = set()
        self._block: Comparison | None = None
        cache.mkdir(exist_ok=True)
        if any(self._known(mutant) is None for mutant in session.mutants):
            self._make()

    def _make(self) -> None:
        session = self._session
        for bench in session.benches:
            proof = bench.proof
            folder = self._work / proof.name
            folder.mkdir()
            made = Switch.make(
                bench.design, bench.block, session.mutants, folder, bench.judge.outputs
            )
            self._switches[proof.name] = made
            self._check(bench, folder)
        if TARGETS[session.module].compared or not self._inductive:
            first = session.benches[0]
            folder = self._work / "block"
            folder.mkdir()
            self._block = Comparison.make(first.design, first.block, session.mutants, folder)

    def _check(self, bench: Bench, folder: Path) -> None:
        """Make sure that the block itself is not taken for a mutant."""
        proof, switch = bench.proof, self._switches[bench.proof.name]
        why = switch.search(0, folder, steps=bench.judge.steps, seconds=_SEARCH).claim
        holds, detail = switch.step(0, folder, steps=proof.steps, seconds=_PROOF)
        if holds:
            self._inductive.add(proof.name)
        elif proof.engine is Engine.INDUCTION:
            why = why or detail
        if why:
            raise FlowError(f"{proof.name} must hold without a mutant, and did not: {why}")

    def judge(self, mutant: Mutant) -> Judged:
        """Look for a counterexample in every proof, then compare, then prove."""
        if (known := self._known(mutant)) is not None:
            return known
        with TemporaryDirectory(prefix="mutant-", dir=self._work) as work:
            try:
                judged, key = self._ask(mutant, Path(work))
            except FlowError as error:
                return Judged(mutant=mutant, fate=Fate.UNKNOWN, by=str(error))
        entry = [judged.fate, judged.by, _tools()]
        write_whole(self._cache / f"{key}.json", json.dumps(entry).encode())
        return judged

    def _known(self, mutant: Mutant) -> Judged | None:
        keys = [bench.key(mutant) for bench in self._session.benches]
        for key in (*keys, _digest(keys)):
            try:
                fate, by, tools = json.loads((self._cache / f"{key}.json").read_text())
                if fate == Fate.KILLED or tools == _tools():
                    return Judged(mutant=mutant, fate=Fate(fate), by=by, cached=True)
            except (OSError, ValueError, TypeError):
                pass  # nothing there, or a file that a crash left: judge again
        return None

    def _ask(self, mutant: Mutant, work: Path) -> tuple[Judged, str]:
        """Return the verdict, and the name to remember it by."""
        number, benches = self._numbers[mutant.name], self._session.benches
        reached = {}
        for bench in benches:
            switch = self._switches[bench.proof.name]
            found = switch.search(number, work, steps=bench.judge.steps, seconds=_SEARCH)
            if found.claim:
                return _killed(mutant, bench, found.claim)
            reached[bench.proof.name] = found.steps
        together = _digest([bench.key(mutant) for bench in benches])
        for proof in self._inductive:
            if self._switches[proof].alike(number, work):
                by = f"{proof}: no difference where its claims hold"
                return Judged(mutant=mutant, fate=Fate.EQUIVALENT, by=by), together
        if self._block is not None and self._block.same(number, work, seconds=_COMPARISON):
            return Judged(mutant=mutant, fate=Fate.EQUIVALENT), together
        remarks = []
        for bench in benches:
            proof, switch = bench.proof, self._switches[bench.proof.name]
            seconds = min(proof.seconds, _PROOF)
            if proof.name not in self._inductive:
                holds, detail = switch.prove(number, work, seconds=seconds)
            elif reached[proof.name] < proof.steps:
                holds, detail = None, "no base case"
            else:
                holds, detail = switch.step(number, work, steps=proof.steps, seconds=seconds)
            if holds is False:
                return _killed(mutant, bench, detail)
            if holds is None:
                remarks.append(f"{bench.proof.name}: {detail}")
        fate = Fate.UNKNOWN if remarks else Fate.SURVIVED
        return Judged(mutant=mutant, fate=fate, by=", ".join(remarks)), together


def prepare(module: str, folder: Path, *, most: int | None) -> Session:
    """Make mutants of a block, ``most`` of them or all, for all proofs that judge it.

    Raises
    ------
    :exc:`FlowError`
        If there is no such block, or it is not the same in all its proofs.
    """
    if module not in TARGETS:
        raise FlowError(f"a module must be one of {', '.join(TARGETS)}, not {module}")
    if not pdr_available():
        raise FlowError("mutants are judged by berkeley-abc: sudo apt-get install berkeley-abc")
    target = TARGETS[module]
    benches = []
    for judge in target.judges:
        design = convert(PROOFS[judge.proof].spec())
        block = find_block(design, judge.instances)
        benches.append(Bench(judge=judge, design=design, block=block))
    first = benches[0]
    for bench in benches:
        if bench.block.digest != first.block.digest:
            raise FlowError(
                f"proofs of a block must be about the same gateware:"
                f" {first.proof.name} and {bench.proof.name} differ"
            )
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="list-", dir=folder) as work:
        mutants = make_mutants(first.design, first.block, Path(work), most=most, parts=target.parts)
    return Session(module=module, mutants=mutants, benches=benches)


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


def _killed(mutant: Mutant, bench: Bench, claim: str) -> tuple[Judged, str]:
    by = f"{bench.proof.name}: {claim}"
    return Judged(mutant=mutant, fate=Fate.KILLED, by=by), bench.key(mutant)


def _digest(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:24]


def _tools() -> str:
    """Digest of what makes a survivor; a counterexample stays one."""
    files = (flow.__file__, engines.__file__, netlist.__file__, switch.__file__, __file__)
    return hashlib.sha256(b"".join(Path(str(f)).read_bytes() for f in files)).hexdigest()[:24]
