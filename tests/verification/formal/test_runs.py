# amaranth: UnusedElaboratable=no
# SPDX-License-Identifier: Apache-2.0
"""A run reaches what is reachable, violates what can be violated, and shows nothing else."""

from pathlib import Path
from typing import Any

import pytest
from amaranth import Module, Signal, Value
from amaranth.hdl import Assert, Assume, Cover
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In

from blindvisor.verification.formal import engines, flow
from blindvisor.verification.formal.engines import pdr_available
from blindvisor.verification.formal.flow import FlowError
from blindvisor.verification.formal.proof import Engine, Outcome, Proof, Verdict, prove

pytestmark = [
    pytest.mark.formal,
    pytest.mark.skipif(not pdr_available(), reason="runs need berkeley-abc"),
]


class Steps(wiring.Component):
    """Counts up to 200 while it is told to, and down from there, or from a number in a memory."""

    up: Signal
    helpful: list[tuple[Value, Any]]

    def __init__(
        self, *, up: object = 1, most: int = 200, last: int = 255, extra: str = ""
    ) -> None:
        self._up, self._most, self._last, self._extra = up, most, last, extra
        super().__init__({"up": In(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.memory = memory = Memory(shape=8, depth=2, init=[])
        port = memory.read_port(domain="comb")
        count, falls = Signal(8), Signal()
        with m.If(count == 199):
            m.d.sync += falls.eq(1)
        with m.If(falls & (count != 0)):
            m.d.sync += count.eq(count - 1)
        with m.Elif(~falls & self.up):
            m.d.sync += count.eq(count + 1)
        self.helpful = [(self.up, self._up)]
        m.d.comb += [
            port.addr.eq(count[0]),
            Assert(count <= self._most, "STOPS"),
            Assume(count <= self._last, "short"),
            Cover(count == 150, "it counts"),
            Cover(falls & (count == 100), "it falls"),
            Cover((count == 1) & (port.data == 0), "memory is zero"),
        ]
        if self._extra == "claim":
            m.d.comb += Assert(count != 220, "MORE")
        if self._extra == "words":
            m.d.comb += Cover(count == 3, "other words")
        if self._extra == "driver":
            self.helpful += [(count, 3)]
        return m


def proof_of(*runs: dict[str, Any], steps: int = 400, **spec: Any) -> Proof:
    return Proof(
        name="steps",
        promises=("P8",),
        spec=lambda: Steps(**spec),
        engine=Engine.PDR,
        cover_steps=steps,
        runs=tuple(lambda run=run: Steps(**spec | run) for run in runs),
        seconds=30.0,
    )


def outcome(verdict: Verdict) -> tuple[Outcome, str]:
    return verdict.outcome, verdict.detail


def test_deep_covers_are_reached_by_the_runs_together(tmp_path: Path) -> None:
    assert outcome(prove(proof_of({"up": 1}), tmp_path)) == (Outcome.PROVEN, "")
    assert outcome(prove(proof_of({"up": 0}, {"up": 1}), tmp_path)) == (Outcome.PROVEN, "")


def test_a_cover_that_no_run_reaches_is_refused(tmp_path: Path) -> None:
    verdict = prove(proof_of({"up": 1}, steps=250), tmp_path)
    assert verdict.outcome is Outcome.REFUSED
    assert verdict.detail.endswith("these are not: it falls")
    verdict = prove(proof_of({"up": 0}), tmp_path)
    assert verdict.detail.endswith("it counts, it falls, memory is zero")


def test_a_deep_violation_is_found_with_a_listing(tmp_path: Path) -> None:
    verdict = prove(proof_of({"up": 1}, most=170), tmp_path)
    assert outcome(verdict) == (Outcome.FAILED, "the runs: STOPS")
    age = next(line for line in verdict.trace.splitlines() if line.split()[0] == "age_of_run")
    assert age.split()[-1] == f"{171:x}"


def test_a_run_that_holds_is_no_proof(tmp_path: Path) -> None:
    verdict = prove(proof_of({"up": 0}, {"up": 1}, most=200, extra="claim"), tmp_path)
    assert verdict.outcome is Outcome.PROVEN
    wrong = proof_of({"up": 0}, most=170)  # what it claims fails elsewhere
    assert prove(wrong, tmp_path).outcome is Outcome.FAILED


def test_a_run_that_breaks_an_assumption_is_refused(tmp_path: Path) -> None:
    # Neither does it reach what lies behind.
    verdict = prove(proof_of({"up": 1}, last=180), tmp_path)
    assert verdict.outcome is Outcome.REFUSED
    assert "run 0 ends before its time" in verdict.detail


@pytest.mark.parametrize("extra", ["claim", "words"])
def test_a_run_of_another_specification_is_refused(tmp_path: Path, extra: str) -> None:
    verdict = prove(proof_of({"up": 1, "extra": extra}), tmp_path)
    assert outcome(verdict) == (
        Outcome.REFUSED,
        "a run must have the claims of its specification, and no others",
    )


def test_a_run_drives_inputs_alone(tmp_path: Path) -> None:
    verdict = prove(proof_of({"up": 1, "extra": "driver"}), tmp_path)
    assert verdict.outcome is Outcome.REFUSED
    assert "must drive inputs" in verdict.detail


@pytest.mark.parametrize("kind", ["assert", "assume", "cover"])
def test_a_property_that_is_lost_on_the_way_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    script = flow._RUN.replace("chformal -lower\n", f"chformal -lower\nchformal -{kind} -remove\n")
    monkeypatch.setattr(flow, "_RUN", script)
    verdict = prove(proof_of({"up": 1}), tmp_path)
    assert verdict.outcome is Outcome.REFUSED
    assert "every property must be followed" in verdict.detail


@pytest.mark.parametrize(
    "said",
    [
        "",
        "Output 3 was asserted in frame 9 (solved 1 out of 7 outputs).",  # and then it was killed
        "Some outputs are SAT (2 out of 7) after 400 frames.",  # which ones?
        "Some outputs are SAT (0 out of 7) after 399 frames.",
        "All 7 outputs are found to be SAT after 400 frames.",
        "No output asserted in 12 frames.",
    ],
)
def test_what_is_not_followed_to_its_end_is_no_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    monkeypatch.setattr(engines, "_run", lambda *_: (0, f"{said}\n"))
    assert "no answer" in str(engines.follow(tmp_path, outputs=7, steps=400, seconds=1))


def test_without_abc_there_are_no_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "pdr_available", lambda: False)
    with pytest.raises(FlowError, match="runs need berkeley-abc"):
        engines.follow(tmp_path, outputs=1, steps=1, seconds=1)
