# SPDX-License-Identifier: Apache-2.0
"""One proof: a specification, how to prove it, and the verdict with everything it rests on."""

import hashlib
import json
import re
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from enum import Enum
from pathlib import Path

from amaranth.lib import wiring

from blindvisor.verification.formal.engines import (
    Answer,
    bmc,
    covers,
    induction,
    pdr,
    pdr_available,
)
from blindvisor.verification.formal.flow import FlowError, Prepared, prepare
from blindvisor.verification.formal.trace import listing

__all__ = ["Engine", "Outcome", "Proof", "Verdict", "judge", "prove"]


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
    cover_steps : :class:`int`
        Time steps within which every cover must be reached.
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
    cover_steps: int = 20
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
        The very same design and specification were proved by an earlier run.
    """

    name: str
    outcome: Outcome
    detail: str = ""
    trace: str = ""
    counts: dict[str, int] = field(default_factory=dict)
    registers: int = 0
    seconds: float = 0.0
    cached: bool = False


def prove(
    proof: Proof, folder: Path, *, engine: Engine | None = None, use_cache: bool = True
) -> Verdict:
    """Run a proof in ``folder`` and judge it.

    A verdict is cached under a hash of the design, of the specification and of all that decides
    how they are proved; only PROVEN is ever taken from the cache.
    """
    began = time.monotonic()
    engine = engine or proof.engine
    work = folder / proof.name
    work.mkdir(parents=True, exist_ok=True)
    try:
        if engine is Engine.PDR and not pdr_available():
            raise FlowError("PDR needs berkeley-abc: sudo apt-get install berkeley-abc")
        prepared = prepare(proof.spec(), work, aiger=engine is Engine.PDR)
    except FlowError as error:
        return Verdict(name=proof.name, outcome=Outcome.REFUSED, detail=str(error))
    entry = folder / "cache" / f"{_key(proof, engine, prepared)}.json"
    if use_cache and (known := _cached(entry, proof.name)) is not None:
        return known

    cover = covers(prepared, solver="yices", steps=proof.cover_steps, seconds=proof.seconds)
    base = step = unbounded = None
    if engine is Engine.PDR:
        unbounded = pdr(prepared, seconds=proof.seconds)
    else:
        common = {"solver": proof.solver, "steps": proof.steps, "seconds": proof.seconds}
        base = bmc(prepared, **common)
        step = induction(prepared, **common)
    outcome, detail = judge(engine, cover=cover, base=base, step=step, unbounded=unbounded)
    trace = ""
    if outcome is Outcome.FAILED:
        trace = _trace(prepared, proof, base, unbounded)
        detail = _named(prepared, detail)
    verdict = Verdict(
        name=proof.name,
        outcome=outcome,
        detail=detail,
        trace=trace,
        counts=prepared.counts,
        registers=prepared.registers,
        seconds=time.monotonic() - began,
    )
    if outcome is Outcome.PROVEN:
        entry.parent.mkdir(exist_ok=True)
        beside = entry.with_suffix(f".{time.monotonic_ns()}")
        beside.write_text(json.dumps(asdict(verdict) | {"outcome": outcome.value}))
        beside.replace(entry)
    return verdict


def judge(
    engine: Engine,
    *,
    cover: Answer | None,
    base: Answer | None = None,
    step: Answer | None = None,
    unbounded: Answer | None = None,
) -> tuple[Outcome, str]:
    """Return what may be said after these answers, and why. Whatever is missing refuses."""
    needed = (
        {"PDR": unbounded}
        if engine is Engine.PDR
        else {"the base case": base, "the induction step": step}
    )
    for name, answer in needed.items():
        if answer is not None and answer.holds is False and name != "the induction step":
            return Outcome.FAILED, answer.detail or f"counterexample of {answer.step + 1} steps"
    for name, answer in {**needed, "the covers": cover}.items():
        if answer is None:
            return Outcome.REFUSED, f"{name} must be run, and was not"
        if answer.holds is None:
            return Outcome.REFUSED, f"{name}: {answer.detail}"
    if cover is not None and cover.holds is False:
        return Outcome.REFUSED, f"every cover must be reachable, and these are not: {cover.detail}"
    if step is not None and step.holds is False:
        return Outcome.REFUSED, f"not inductive in so few steps: {step.detail}"
    return Outcome.PROVEN, ""


def _key(proof: Proof, engine: Engine, prepared: Prepared) -> str:
    digest = hashlib.sha256()
    here = Path(__file__).parent
    for part in (
        *(prepared.folder / "top.il", here / "flow.py", here / "engines.py", here / "proof.py"),
    ):
        digest.update(part.read_bytes())
    how = (engine.value, proof.solver, proof.steps, proof.cover_steps)
    digest.update(repr(how).encode())
    return digest.hexdigest()[:24]


def _cached(entry: Path, name: str) -> Verdict | None:
    try:
        known = json.loads(entry.read_text())
        outcome = Outcome(known.pop("outcome"))
        verdict = Verdict(**known | {"outcome": outcome, "name": name, "cached": True})
    except (OSError, ValueError, TypeError, KeyError):
        return None  # nothing there, or a file that a crash left: prove again
    return verdict if verdict.outcome is Outcome.PROVEN else None


def _trace(prepared: Prepared, proof: Proof, base: Answer | None, unbounded: Answer | None) -> str:
    """Readable counterexample; PDR says only how long it is, so it is searched for again."""
    found = base
    if unbounded is not None:
        steps = unbounded.step + 1
        found = bmc(prepared, solver="yices", steps=steps, seconds=proof.seconds)
    if found is None or found.holds is not False:
        return ""
    vcd = prepared.folder / "base.vcd"
    names = _named(prepared, found.detail)
    return f"violated: {names}\n{listing(vcd)}\nwaveform: {vcd}"


def _named(prepared: Prepared, detail: str) -> str:
    """Replace cell names in a solver's words by the claims they stand for."""
    text = (prepared.folder / "top.il").read_text()
    claims = dict(re.findall(r'cell \$check \\?(\S+)\n\s*parameter \\FORMAT "([^"]*)"', text))
    return re.sub(r"\$\d+", lambda match: claims.get(match[0], match[0]), detail)
