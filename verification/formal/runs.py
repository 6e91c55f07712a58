# SPDX-License-Identifier: Apache-2.0
"""Runs: one trace of a specification, whose inputs it chooses itself.

A cover that lies deep is slow to look for, even among few traces. Of a run there is nothing to look
for: all inputs are driven and memories are zero, so ABC follows it as fast as it can simplify.
What a run reaches, the specification reaches; what it violates, the specification violates.
"""

import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from amaranth import Module, Signal, Value
from amaranth.hdl import Cover
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from blindvisor.verification.formal.engines import Answer, bmc, follow
from blindvisor.verification.formal.flow import (
    Design,
    FlowError,
    Prepared,
    claims,
    convert,
    translate,
    translate_run,
)

_LASTS = "the run lasts"


class Steered(Protocol):
    """A specification that says, once it is elaborated, what its inputs should be."""

    helpful: list[tuple[Value, Any]]


class Driven(wiring.Component):
    """A specification whose inputs are driven by what it says itself.

    The specification stays what it is: nothing but its inputs is driven from here, and what it says
    nothing about is zero.
    """

    def __init__(self, spec: wiring.Component, *, steps: int) -> None:
        self._spec = spec
        self._steps = steps
        super().__init__({})

    def elaborate(self, platform: object) -> Module:
        """Add drivers, and a cover that only a run of ``steps`` cycles reaches."""
        spec: Any = self._spec
        m: Module = spec.elaborate(platform)
        spec._MustUse__used = True  # its module is ours
        inputs = {
            id(Value.cast(value))
            for _, member, value in spec.signature.flatten(spec)
            if member.flow is In
        }
        for given, value in spec.helpful:
            if id(Value.cast(given)) not in inputs:
                raise FlowError(f"a run must drive inputs of its specification, not {given!r}")
            m.d.comb += given.eq(value)
        age = Signal(range(self._steps), name="age_of_run")
        m.d.sync += age.eq(age + 1)
        m.d.comb += Cover(age == self._steps - 1, _LASTS)
        return m


@dataclass(frozen=True, kw_only=True)
class Found:
    """What came of all runs of a specification.

    Members
    -------
    base, alive, cover : :class:`Answer`
        Nothing was violated; all assumptions were kept; each cover was reached by one of the runs.
    folder : :class:`~pathlib.Path`
        With ``base.vcd``, if something was violated.
    """

    base: Answer
    alive: Answer
    cover: Answer
    folder: Path


def followed(
    specs: Iterable[wiring.Component], written: Design, folder: Path, *, steps: int, seconds: float
) -> Found:
    """Follow each specification, driven by itself, for ``steps`` time steps.

    Raises
    ------
    :exc:`FlowError`
        If a run is not one of the specification ``written``: claims, assumptions and covers must
        be the same.
    """
    began = time.monotonic()
    expected = Counter(claims(written.text).values())
    unreached = [words for kind, words in expected.elements() if kind == "cover"]
    for number, spec in enumerate(specs):
        place = folder / f"run{number}"
        place.mkdir(exist_ok=True)
        design = convert(Driven(spec, steps=steps), zeroed=True)
        known = claims(design.text)
        if Counter(known.values()) != expected + Counter([("cover", _LASTS)]):
            raise FlowError("a run must have the claims of its specification, and no others")
        names = translate_run(design, place)
        reached = follow(place, outputs=len(names), steps=steps, seconds=seconds)
        if isinstance(reached, str):
            silent = Answer(holds=None, detail=reached, seconds=time.monotonic() - began)
            return Found(base=silent, alive=silent, cover=silent, folder=place)
        found = {names[output]: frame for output, frame in reached.items()}
        wrong = {name: frame for name, frame in found.items() if known[name][0] == "assert"}
        if wrong:
            claimed = [wrong[name] for name in wrong if known[name][1].startswith("P")]
            return _violated(design, place, min(claimed or wrong.values()), seconds)
        there = [known[name][1] for name in found]
        if _LASTS not in there:
            detail = f"the assumptions contradict each other: run {number} ends before its time"
            ended = Answer(holds=False, detail=detail, seconds=time.monotonic() - began)
            return Found(base=replace(ended, holds=True), alive=ended, cover=ended, folder=place)
        unreached = [words for words in unreached if words not in there]
    passed = Answer(holds=True, seconds=time.monotonic() - began)
    cover = replace(passed, holds=not unreached, detail=", ".join(unreached))
    return Found(base=passed, alive=passed, cover=cover, folder=folder)


def _violated(design: Design, place: Path, frame: int, seconds: float) -> Found:
    """Follow the run once more, with a solver that writes a waveform."""
    translate(design, place, aiger=False)
    prepared = Prepared(folder=place, counts=design.counts, registers=0)
    base = bmc(prepared, solver="yices", steps=frame + 1, seconds=seconds, skip=frame)
    skipped = Answer(holds=None, detail="something was violated before")
    return Found(base=base, alive=skipped, cover=skipped, folder=place)
