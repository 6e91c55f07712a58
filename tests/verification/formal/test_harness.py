# amaranth: UnusedElaboratable=no
# SPDX-License-Identifier: Apache-2.0
"""Every known way to a false "proven", provoked and seen refused."""

import json
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from amaranth import ClockDomain, ClockSignal, Const, Module, Signal
from amaranth.hdl import Assert, Assume, Cover
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In

from blindvisor.sw.cli import main
from blindvisor.sw.cli import prove as command
from blindvisor.sw.cli.app import ExitCode
from blindvisor.verification.formal import engines, flow, proof
from blindvisor.verification.formal.engines import Answer
from blindvisor.verification.formal.flow import FlowError
from blindvisor.verification.formal.proof import Engine, Outcome, Proof, judge, prove

pytestmark = pytest.mark.formal

needs_abc = pytest.mark.skipif(not engines.pdr_available(), reason="PDR needs berkeley-abc")
both = pytest.mark.parametrize(
    "engine", [Engine.INDUCTION, pytest.param(Engine.PDR, marks=needs_abc)]
)


class Spec(wiring.Component):
    """A counter that stops at 10, and whatever the test adds."""

    choice: Signal

    def __init__(self, add: Callable[[Module, Signal, Signal], None]) -> None:
        self._add = add
        super().__init__({"choice": In(4)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        count = Signal(4)
        with m.If(count < 10):
            m.d.sync += count.eq(count + 1)
        self._add(m, count, self.choice)
        return m


def proof_of(add: Callable[[Module, Signal, Signal], None], **how: object) -> Proof:
    usual = {"name": "tiny", "promises": ("P8",), "steps": 2, "cover_steps": 12, "seconds": 30.0}
    return Proof(spec=lambda: Spec(add), **usual | how)  # pyright: ignore[reportArgumentType]


def good(m: Module, count: Signal, choice: Signal) -> None:
    m.d.comb += [Assert(count <= 10, "STOPS"), Cover(count == 10, "it stops")]


def wrong(m: Module, count: Signal, choice: Signal) -> None:
    # The wrong one is neither the first nor the last.
    m.d.comb += [Assert(count <= 10, "STOPS"), Assert(count != 5, "NEVER-FIVE")]
    m.d.comb += [Assert(count <= 11, "STOPS-TOO"), Cover(count == 4, "it counts")]
    m.d.comb += Assume(choice != 3, "a choice")


@both
def test_what_holds_is_proven(tmp_path: Path, engine: Engine) -> None:
    verdict = prove(proof_of(good), tmp_path, engine=engine)
    assert verdict.outcome is Outcome.PROVEN
    assert verdict.counts == {"assert": 1, "assume": 0, "cover": 1}
    assert verdict.registers == 4


@both
def test_one_wrong_assertion_of_several_fails_with_a_listing(
    tmp_path: Path, engine: Engine
) -> None:
    verdict = prove(proof_of(wrong, steps=8), tmp_path, engine=engine)
    assert verdict.outcome is Outcome.FAILED
    assert "NEVER-FIVE" in verdict.trace
    count = next(line for line in verdict.trace.splitlines() if line.split()[0] == "count")
    assert count.split()[-1] == "5"
    assert (tmp_path / "tiny" / "base.vcd").is_file()


@both
def test_a_clock_that_is_tied_off_is_refused(tmp_path: Path, engine: Engine) -> None:
    def add(m: Module, count: Signal, choice: Signal) -> None:
        domain = ClockDomain("frozen", reset_less=True)
        m.domains += domain
        m.d.comb += ClockSignal("frozen").eq(0)
        still = Signal(4)
        m.d.frozen += still.eq(still + 1)
        m.d.comb += [Assert(still != 5, "TRUE"), Cover(choice == 1, "seen")]

    verdict = prove(proof_of(add), tmp_path, engine=engine)
    assert verdict.outcome is Outcome.REFUSED
    assert "clocked by the rising edge of the top's clk" in verdict.detail


@pytest.mark.parametrize("edge", ["pos", "neg"])
def test_a_second_clock_is_refused(tmp_path: Path, edge: str) -> None:
    def add(m: Module, count: Signal, choice: Signal) -> None:
        domain = ClockDomain("other", clk_edge=edge, reset_less=True)  # pyright: ignore[reportArgumentType]
        m.domains += domain
        clock = ClockSignal("sync") if edge == "neg" else choice[0]
        m.d.comb += ClockSignal("other").eq(clock)
        other = Signal(4)
        m.d.other += other.eq(other + 1)
        m.d.comb += [Assert(count <= 10, "TRUE"), Cover(other == 1, "seen")]

    verdict = prove(proof_of(add), tmp_path, engine=Engine.INDUCTION)
    assert verdict.outcome is Outcome.REFUSED
    assert "clocked by the rising edge of the top's clk" in verdict.detail


@pytest.mark.parametrize("kind", ["assert", "cover"])
def test_a_specification_without_assertion_or_cover_is_refused(tmp_path: Path, kind: str) -> None:
    def add(m: Module, count: Signal, choice: Signal) -> None:
        m.d.comb += Cover(count == 3, "seen") if kind == "assert" else Assert(count <= 10, "TRUE")

    verdict = prove(proof_of(add), tmp_path, engine=Engine.INDUCTION)
    assert verdict.outcome is Outcome.REFUSED
    assert f"at least one {kind}, and this has none" in verdict.detail


def test_an_assertion_that_can_never_be_violated_is_refused(tmp_path: Path) -> None:
    def add(m: Module, count: Signal, choice: Signal) -> None:
        good(m, count, choice)
        with m.If(Const(0)):
            m.d.comb += Assert(count == 0, "TRUE")

    verdict = prove(proof_of(add), tmp_path, engine=Engine.INDUCTION)
    assert verdict.outcome is Outcome.REFUSED
    assert "every assert must be able to matter" in verdict.detail


def test_a_clocked_assertion_is_refused(tmp_path: Path) -> None:
    def add(m: Module, count: Signal, choice: Signal) -> None:
        m.d.sync += [Assert(count != 5, "TRUE"), Cover(count == 3, "seen")]

    verdict = prove(proof_of(add), tmp_path, engine=Engine.INDUCTION)
    assert verdict.outcome is Outcome.REFUSED
    assert "edge triggered" in verdict.detail


@pytest.mark.parametrize("kind", ["assert", "assume", "cover"])
def test_a_property_lost_before_the_netlist_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    script = flow._COMMON.replace("async2sync", f"chformal -{kind} -remove\nasync2sync")
    monkeypatch.setattr(flow, "_COMMON", script)
    verdict = prove(proof_of(wrong), tmp_path, engine=Engine.INDUCTION, use_cache=False)
    assert verdict.outcome is Outcome.REFUSED
    assert f"every {kind} must arrive at the solver" in verdict.detail


def test_a_property_lost_on_the_way_to_smt_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow, "_SMT2", "chformal -assert -remove\n" + flow._SMT2)
    verdict = prove(proof_of(good), tmp_path, engine=Engine.INDUCTION, use_cache=False)
    assert "1 are written, 0 are in the SMT-LIB file" in verdict.detail


@needs_abc
def test_a_property_lost_on_the_way_to_aiger_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow, "_AIGER", "chformal -assume -remove\n" + flow._AIGER)
    verdict = prove(proof_of(wrong), tmp_path, engine=Engine.PDR, use_cache=False)
    assert "1 are written, 0 are in the AIGER file" in verdict.detail


def test_files_of_an_earlier_run_are_not_taken_for_this_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert prove(proof_of(good), tmp_path, engine=Engine.INDUCTION).outcome is Outcome.PROVEN
    monkeypatch.setattr(flow, "_SMT2", "")  # what a Yosys that stops half-way leaves
    verdict = prove(proof_of(good), tmp_path, engine=Engine.INDUCTION, use_cache=False)
    assert verdict.outcome is Outcome.REFUSED
    assert "yosys must write top.smt2" in verdict.detail


@both
def test_a_cover_that_cannot_be_reached_is_refused(tmp_path: Path, engine: Engine) -> None:
    def add(m: Module, count: Signal, choice: Signal) -> None:
        m.d.comb += [
            Assert(count <= 10, "TRUE"),
            Cover(count == 3, "seen"),
            Cover(count == 12, "a dozen"),
        ]

    verdict = prove(proof_of(add), tmp_path, engine=engine)
    assert verdict.outcome is Outcome.REFUSED
    assert "every cover must be reachable, and these are not: a dozen" in verdict.detail


def test_a_cover_that_only_a_reset_reaches_is_refused(tmp_path: Path) -> None:
    def add(m: Module, count: Signal, choice: Signal) -> None:
        before = Signal(4, reset_less=True)
        m.d.sync += before.eq(count)
        m.d.comb += [Assert(count <= 10, "TRUE"), Cover(before > count, "it falls")]

    verdict = prove(proof_of(add), tmp_path, engine=Engine.INDUCTION)
    assert "these are not: it falls" in verdict.detail


@both
def test_assumptions_that_contradict_each_other_are_refused(tmp_path: Path, engine: Engine) -> None:
    def add(m: Module, count: Signal, choice: Signal) -> None:
        m.d.comb += [Assume(choice == 3, "so"), Assume(choice == 10, "so")]
        m.d.comb += [Assert(count != 5, "TRUE"), Cover(count == 3, "seen")]

    verdict = prove(proof_of(add), tmp_path, engine=engine)
    assert verdict.outcome is Outcome.REFUSED
    assert "the assumptions contradict each other" in verdict.detail


@both
def test_assumptions_that_end_time_are_refused(tmp_path: Path, engine: Engine) -> None:
    def add(m: Module, count: Signal, choice: Signal) -> None:
        m.d.comb += [Assume(count < 8, "so"), Assert(count != 9, "TRUE"), Cover(count == 3, "seen")]

    verdict = prove(proof_of(add), tmp_path, engine=engine)
    assert verdict.outcome is Outcome.REFUSED
    assert "there is no run of 12 steps" in verdict.detail


@both
def test_what_holds_for_zeroed_memory_only_fails(tmp_path: Path, engine: Engine) -> None:
    def add(m: Module, count: Signal, choice: Signal) -> None:
        m.submodules.memory = memory = Memory(shape=4, depth=4, init=[])
        port = memory.read_port(domain="comb")
        m.d.comb += [
            port.addr.eq(choice),
            Assert(port.data == 0, "ZERO"),
            Cover(count == 3, "seen"),
        ]

    verdict = prove(proof_of(add), tmp_path, engine=engine)
    assert verdict.outcome is Outcome.FAILED
    assert "ZERO" in verdict.trace


def test_contents_that_are_written_down_stay(tmp_path: Path) -> None:
    def add(m: Module, count: Signal, choice: Signal) -> None:
        m.submodules.memory = memory = Memory(shape=4, depth=4, init=[7, 7, 7, 7])
        port = memory.read_port(domain="comb")
        m.d.comb += [
            port.addr.eq(choice),
            Assert(port.data == 7, "TRUE"),
            Cover(count == 3, "seen"),
        ]

    assert prove(proof_of(add), tmp_path, engine=Engine.INDUCTION).outcome is Outcome.PROVEN


def test_what_is_not_inductive_is_refused_by_name(tmp_path: Path) -> None:
    def add(m: Module, count: Signal, choice: Signal) -> None:
        m.d.comb += [Assert(count != 13, "NO-THIRTEEN"), Cover(count == 3, "seen")]
        with m.If(count == 12):
            m.d.sync += count.eq(13)

    verdict = prove(proof_of(add, steps=1), tmp_path, engine=Engine.INDUCTION)
    assert verdict.outcome is Outcome.REFUSED
    assert verdict.detail == "not inductive in so few steps: NO-THIRTEEN"


YES, NO, SILENT = Answer(holds=True), Answer(holds=False), Answer(holds=None, detail="silence")


@pytest.mark.parametrize("missing", ["cover", "alive", "base", "step"])
@pytest.mark.parametrize("answer", [None, SILENT])
def test_an_induction_lacks_nothing(missing: str, answer: Answer | None) -> None:
    answers = {"cover": YES, "alive": YES, "base": YES, "step": YES}
    assert judge(Engine.INDUCTION, **answers) == (Outcome.PROVEN, "")
    assert judge(Engine.INDUCTION, **answers | {missing: answer})[0] is Outcome.REFUSED  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("missing", ["cover", "alive", "unbounded"])
@pytest.mark.parametrize("answer", [None, SILENT])
def test_pdr_lacks_nothing(missing: str, answer: Answer | None) -> None:
    answers = {"cover": YES, "alive": YES, "unbounded": YES}
    assert judge(Engine.PDR, **answers) == (Outcome.PROVEN, "")
    assert judge(Engine.PDR, **answers | {missing: answer})[0] is Outcome.REFUSED  # pyright: ignore[reportArgumentType]


def test_induction_does_not_count_without_its_base_case() -> None:
    outcome, detail = judge(Engine.INDUCTION, cover=YES, alive=YES, base=None, step=YES)
    assert (outcome, detail) == (Outcome.REFUSED, "the base case must be run, and was not")


def fake_solver(monkeypatch: pytest.MonkeyPatch, body: str) -> None:
    """Have smtbmc start this instead of bitwuzla."""

    def wrappers(folder: Path) -> Path:
        program = folder / "fake" / "bitwuzla"
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/sh\n{body}\n")
        program.chmod(0o755)
        return program.parent

    monkeypatch.setattr(engines, "_wrappers", wrappers)


@pytest.mark.parametrize(
    "body",
    [
        "kill -KILL $$",
        "exit 1",
        "exit 0",
        "while read line; do case $line in *check-sat*) echo unknown;; esac; done",
        "while read line; do case $line in *check-sat*) kill -KILL $$;; esac; done",
    ],
    ids=["killed", "fails", "ends", "unknown", "killed half-way"],
)
def test_a_solver_without_an_answer_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str
) -> None:
    fake_solver(monkeypatch, body)
    verdict = prove(proof_of(good), tmp_path, engine=Engine.INDUCTION)
    assert verdict.outcome is Outcome.REFUSED
    assert "without an answer" in verdict.detail


def test_a_solver_that_is_too_slow_is_refused_and_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_solver(monkeypatch, f"echo $$ > {tmp_path}/pid; exec sleep 1000")
    verdict = prove(proof_of(good, seconds=3.0), tmp_path, engine=Engine.INDUCTION)
    assert verdict.outcome is Outcome.REFUSED
    assert "no answer within 3 s" in verdict.detail
    pid = (tmp_path / "pid").read_text().strip()
    for _ in range(100):  # it dies when the system gets round to it
        if subprocess.run(["kill", "-0", pid], capture_output=True, check=False).returncode:
            return
        time.sleep(0.1)
    pytest.fail("the solver is still running")


@needs_abc
@pytest.mark.parametrize(
    "said",
    [
        "",
        "Property proved.  Time = 0.01 sec",  # without the check of its invariant
        "Property UNDECIDED.  Time = 3.0 sec",
    ],
)
def test_pdr_without_an_answer_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    fake = tmp_path / "fake" / "berkeley-abc"
    fake.parent.mkdir()
    fake.write_text(f"#!/bin/sh\necho '{said}'\n")
    fake.chmod(0o755)
    monkeypatch.setattr(engines, "_wrappers", lambda folder: fake.parent)
    prepared = flow.prepare(flow.convert(Spec(good)), tmp_path, aiger=True)
    assert engines.pdr(prepared, seconds=3).holds is None


@needs_abc
def test_pdr_that_is_killed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "Verification of invariant with 1 clauses was successful.\nProperty proved.\n"
    monkeypatch.setattr(engines, "_run", lambda *_: (-signal.SIGKILL, text))
    prepared = flow.Prepared(folder=tmp_path, counts={}, registers=0)
    assert engines.pdr(prepared, seconds=3).holds is None


def test_a_missing_solver_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(engines.SOLVERS, "z3", "absent-z3")
    verdict = prove(proof_of(good, solver="z3"), tmp_path, engine=Engine.INDUCTION)
    assert verdict.outcome is Outcome.REFUSED
    assert "absent-z3, which is not installed" in verdict.detail


def test_an_unknown_solver_is_refused(tmp_path: Path) -> None:
    verdict = prove(proof_of(good, solver="oracle"), tmp_path, engine=Engine.INDUCTION)
    assert "must be one of bitwuzla, yices, z3, not oracle" in verdict.detail


def test_pdr_without_abc_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proof, "pdr_available", lambda: False)
    verdict = prove(proof_of(good), tmp_path, engine=Engine.PDR)
    assert verdict.outcome is Outcome.REFUSED
    assert "PDR needs berkeley-abc" in verdict.detail


def test_a_missing_yosys_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FlowError, match=r"absent-yosys, which is not installed"):
        flow.tool("absent-yosys")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nonsense"], "a proof must be one of"),
        (["router", "--small"], "there must be something to prove"),
    ],
)
def test_a_command_that_would_prove_nothing_is_refused(
    capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert main(["prove", *arguments]) == ExitCode.BAD_INPUT
    assert message in capsys.readouterr().err


def test_a_proof_that_is_refused_fails_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "FOLDER", tmp_path)
    monkeypatch.setattr(
        command, "PROOFS", {"tiny": proof_of(good, solver="oracle", engine=Engine.INDUCTION)}
    )
    assert main(["prove", "tiny", "--json"]) == ExitCode.CHECK_FAILED
    assert json.loads(capsys.readouterr().out)["good"] is False
