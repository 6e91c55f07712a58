# amaranth: UnusedElaboratable=no
# SPDX-License-Identifier: Apache-2.0
"""A guide helps to find traces, and lets nothing pass that is not there."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from amaranth import Module, Signal
from amaranth.hdl import Assert, Cover
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from blindvisor.verification.formal.proof import Engine, Outcome, Proof, prove

pytestmark = pytest.mark.formal


class Counter(wiring.Component):
    """Counts to 10 while it is not held up; it is not when ``guided`` is high."""

    hold: Signal
    guided: Signal

    def __init__(self, *, most: int, cover_hold: bool = False) -> None:
        self._most = most
        self._cover_hold = cover_hold
        super().__init__({"hold": In(1), "guided": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        count = Signal(4)
        with m.If(~self.hold & (count < 10)):
            m.d.sync += count.eq(count + 1)
        m.d.comb += [
            self.guided.eq(~self.hold),
            Assert(count <= self._most, "STOPS"),
            Cover(self.hold if self._cover_hold else count == 8, "it gets there"),
        ]
        return m


def proof_of(guide: str, **counter: Any) -> Proof:
    return Proof(
        name="counter",
        promises=("P8",),
        spec=lambda: Counter(**counter),
        engine=Engine.INDUCTION,
        steps=1,
        cover_steps=12,
        guide=guide,
        seconds=30.0,
    )


def test_an_induction_looks_for_deep_faults_where_it_is_guided(tmp_path: Path) -> None:
    without = prove(proof_of("", most=8), tmp_path)
    assert without.outcome is Outcome.REFUSED  # not inductive, and no trace to it
    verdict = prove(proof_of("guided", most=8), tmp_path)
    assert verdict.outcome is Outcome.FAILED
    assert "STOPS" in verdict.trace


def test_what_no_guided_run_reaches_is_refused(tmp_path: Path) -> None:
    free = proof_of("", most=10, cover_hold=True)
    assert prove(free, tmp_path).outcome is Outcome.PROVEN
    assert prove(replace(free, guide="guided"), tmp_path).outcome is Outcome.REFUSED


def test_a_guide_that_is_no_output_is_refused(tmp_path: Path) -> None:
    verdict = prove(proof_of("hold", most=10), tmp_path)
    assert verdict.outcome is Outcome.REFUSED
    assert "must be an output" in verdict.detail
