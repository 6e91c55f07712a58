# SPDX-License-Identifier: Apache-2.0
# amaranth: UnusedElaboratable=no
"""Mutants are real changes, verdicts on them are honest, and survivors are explained."""

import json
import tomllib
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
from amaranth import Module, Signal
from amaranth.hdl import Assert, Cover
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from blindvisor.sw.cli import main
from blindvisor.sw.cli import mutate as command
from blindvisor.verification.formal.catalogue import PROOFS
from blindvisor.verification.formal.engines import pdr_available
from blindvisor.verification.formal.flow import FlowError, convert, run_yosys
from blindvisor.verification.formal.proof import Engine, Proof
from blindvisor.verification.mutation import judge
from blindvisor.verification.mutation.judge import SURVIVORS, Fate, explanations, prepare
from blindvisor.verification.mutation.mutants import find_block, make_mutants
from blindvisor.verification.mutation.netlist import Netlist
from blindvisor.verification.mutation.switch import LOST, Switch
from blindvisor.verification.mutation.table import good, render
from blindvisor.verification.mutation.targets import TARGETS, Target

pytestmark = [
    pytest.mark.formal,
    pytest.mark.skipif(not pdr_available(), reason="mutants are judged by berkeley-abc"),
]


class And(wiring.Component):
    """The block: an AND, an OR that the specification may forget, a register that is always 0."""

    a: Signal
    b: Signal
    both: Signal
    one: Signal

    def __init__(self) -> None:
        super().__init__({"a": In(1), "b": In(1), "both": Out(1), "one": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        stuck = Signal()
        m.d.sync += stuck.eq(stuck & self.a)
        m.d.comb += [self.both.eq(self.a & self.b), self.one.eq(self.a | self.b | stuck)]
        return m


class AndSpec(wiring.Component):
    a: Signal
    b: Signal

    def __init__(self, dut: And, *, whole: bool, wrong: bool = False) -> None:
        self.dut = dut
        self._whole = whole
        self._wrong = wrong
        super().__init__({"a": In(1), "b": In(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.dut = dut = self.dut
        m.d.comb += [dut.a.eq(self.a), dut.b.eq(self.b)]
        m.d.comb += Assert(dut.both == (self.a & (self.b | self._wrong)), "P8-BOTH")
        if self._whole:
            m.d.comb += Assert(dut.one == (self.a | self.b), "P8-ONE")
        seen = Signal()
        m.d.sync += seen.eq(1)
        m.d.comb += Cover(seen & dut.one, "time passes")
        return m


def proof(*, whole: bool, wrong: bool = False) -> Proof:
    return Proof(
        name="and",
        promises=("P8",),
        spec=lambda: AndSpec(And(), whole=whole, wrong=wrong),
        engine=Engine.PDR,
    )


def session(monkeypatch, tmp_path, *, most: int | None, whole: bool, wrong: bool = False):
    monkeypatch.setitem(judge.PROOFS, "and", proof(whole=whole, wrong=wrong))
    monkeypatch.setitem(TARGETS, "and", Target(judges=(judge.Judge(proof="and"),)))
    return prepare("and", tmp_path, most=most)


def judged(monkeypatch, tmp_path, *, whole: bool, most: int | None = 8):
    mutants = session(monkeypatch, tmp_path, whole=whole, most=most)
    return list(mutants.run(tmp_path, jobs=1))


def test_a_whole_specification_kills_and_a_survivor_is_what_it_forgot(monkeypatch, tmp_path):
    good = judged(monkeypatch, tmp_path, whole=True)
    assert {one.fate for one in good} <= {Fate.KILLED, Fate.EQUIVALENT}
    assert sum(one.fate is Fate.KILLED for one in good) > 3
    assert {one.by for one in good if one.fate is Fate.KILLED} <= {"and: P8-BOTH", "and: P8-ONE"}

    bad = judged(monkeypatch, tmp_path, whole=False)
    assert [one.mutant for one in bad] == [one.mutant for one in good]
    survivors = [one for one in bad if one.fate is Fate.SURVIVED]
    assert survivors
    assert all("Y=(both)" not in one.mutant.where for one in survivors)
    killed = [one.mutant for one in bad if one.fate is Fate.KILLED]
    assert all("Y=(both)" in mutant.where for mutant in killed)


def test_only_what_does_the_same_is_equivalent(monkeypatch, tmp_path):
    every = session(monkeypatch, tmp_path, whole=False, most=None)
    inputs = {
        mutant.name.split()[0]: mutant
        for mutant in every.mutants
        if "$dff" in mutant.where and "Q=(stuck)" in mutant.where
    }
    (nothing,) = replace(every, mutants=[inputs["const0"]]).run(tmp_path, jobs=1)
    (something,) = replace(every, mutants=[inputs["const1"]]).run(tmp_path, jobs=1)
    assert nothing.fate is Fate.EQUIVALENT
    assert something.fate is Fate.SURVIVED  # it changes what the specification forgot


def test_what_was_judged_is_not_judged_again_and_a_broken_cache_is(monkeypatch, tmp_path):
    first = judged(monkeypatch, tmp_path, whole=True, most=3)
    assert not any(one.cached for one in first)
    broken, *_ = (tmp_path / "cache").iterdir()
    broken.write_text("[")
    second = judged(monkeypatch, tmp_path, whole=True, most=3)
    assert [one.fate for one in second] == [one.fate for one in first]
    assert sorted(one.cached for one in second) == [False, True, True]
    assert not any(one.cached for one in judged(monkeypatch, tmp_path, whole=False, most=3))


def test_no_verdict_is_unknown(monkeypatch, tmp_path):
    def refuse(*_args, **_named):
        raise FlowError("yosys had a bad day")

    monkeypatch.setattr(Switch, "search", refuse)
    monkeypatch.setattr(judge.Inquiry, "_check", lambda *_: None)
    (one,) = judged(monkeypatch, tmp_path, whole=True, most=1)
    assert one.fate is Fate.UNKNOWN
    assert one.by == "yosys had a bad day"
    assert not list((tmp_path / "cache").iterdir())


def test_a_proof_that_fails_without_a_mutant_judges_none(monkeypatch, tmp_path):
    mutants = session(monkeypatch, tmp_path, whole=True, wrong=True, most=2)
    with pytest.raises(FlowError, match="must hold without a mutant, and did not: P8-BOTH"):
        list(mutants.run(tmp_path, jobs=1))


def test_mutants_depend_on_the_block_alone(tmp_path):
    lists = []
    for whole in (True, False):
        design = convert(AndSpec(And(), whole=whole))
        block = find_block(design)
        folder = tmp_path / str(whole)
        folder.mkdir()
        lists.append((block, make_mutants(design, block, folder, most=None)))
    assert lists[0] == lists[1]
    assert len(lists[0][1]) > 10


def test_a_block_must_be_there_and_its_instances_equal():
    design = convert(AndSpec(And(), whole=True))
    with pytest.raises(FlowError, match="must be in its specification, not so other"):
        find_block(design, ("dut", "other"))
    twice = design.text + design.text.replace(r"\top.dut", r"\top.other")
    assert find_block(replace(design, text=twice), ("dut", "other")).digest
    different = twice.replace("module \\top.other\n", "module \\top.other\n  wire \\more\n")
    with pytest.raises(FlowError, match="dut and other differ"):
        find_block(replace(design, text=different), ("dut", "other"))


def values(netlist: Netlist, inputs: tuple[int, ...]) -> list[int]:
    """Return the outputs of a netlist without registers."""
    known = [0, *inputs]

    def value(literal: int) -> int:
        return known[literal >> 1] ^ (literal & 1)

    for one, other in netlist.gates:
        known.append(value(one) & value(other))
    return [value(literal) for literal in (*netlist.outputs, *netlist.bad)]


def test_netlists_are_read_written_given_values_and_compared(tmp_path):
    (tmp_path / "top.v").write_text(
        "module top(input [1:0] a, input b, output x);\nassign x = a[0] ^ (a[1] & b);\nendmodule\n"
    )
    script = "read_verilog top.v\naigmap\nwrite_aiger -map top.aim top.aig\n"
    run_yosys(script, tmp_path, "aiger")
    netlist = Netlist.read(tmp_path / "top.aig")
    netlist.write(tmp_path / "copy.aig")
    (tmp_path / "copy.aim").write_text((tmp_path / "top.aim").read_text())
    assert Netlist.read(tmp_path / "copy.aig") == netlist
    for bits in product((0, 1), repeat=3):
        a0, a1, b = (bits[netlist.names[name][bit]] for name, bit in (("a", 0), ("a", 1), ("b", 0)))
        assert values(netlist, bits) == [a0 ^ (a1 & b)]
        assert values(netlist.given(a=2, b=b, unused=1), bits) == [b]
        assert values(netlist.compared({"b": 0}, {"b": 1}), bits)[-1] == a1
    assert values(netlist.compared({"b": 1}, {"b": 1}), (0, 1, 0))[-1] == 0
    with pytest.raises(ValueError, match="must be in binary AIGER"):
        Netlist.read(Path(__file__))


def test_copies_are_compared_where_claims_hold_alone():
    a, b, r = 2, 4, 6  # r, next r & a; the output is r & a & b
    both, claims = (r, a), {"not r": r, "a": a ^ 1}
    netlist = Netlist(
        inputs=2,
        registers=(8,),
        gates=(both, (8, b)),
        outputs=(10,),
        bad=(),
        constraints=(),
        names={"b": {0: 1}},
    )
    for claim, violated in claims.items():
        pair = replace(netlist, bad=(violated,)).differing({"b": 0}, {"b": 1})
        assert (pair.inputs, pair.registers) == (3, ())
        found = {bits for bits in product((0, 1), repeat=3) if values(pair, bits)[-1]}
        assert {(bits[0], bits[2]) for bits in found} == (set() if claim == "not r" else {(1, 1)})


def test_clocks_of_parts_are_not_mutated(tmp_path):
    design = convert(PROOFS["smmu"].spec())
    found = make_mutants(design, find_block(design), tmp_path, most=None, parts=("",))
    places = {mutant.name.split()[1] for mutant in found}
    assert any(place.startswith("lifecycle.rst") for place in places)
    assert not any(".clk[" in place for place in places)


@pytest.mark.parametrize("module", tomllib.loads(SURVIVORS.read_text()))
def test_every_explained_survivor_is_a_mutant_of_the_block_as_it_is(module, tmp_path):
    session = prepare(module, tmp_path, most=None)
    known = explanations(session)
    assert known, f"{module} has changed: run blindvisor mutate {module}, explain its survivors"
    assert known.keys() <= {mutant.name for mutant in session.mutants}


def test_explanations_are_for_one_block_alone_and_of_a_known_kind(tmp_path):
    session = prepare("ingress", tmp_path, most=1)
    name = session.mutants[0].name
    path = tmp_path / "survivors.toml"
    text = (
        f'[ingress]\nblock = "{session.block.digest}"\n[[ingress.survivors]]\n'
        f"mutants = ['{name}']\nkind = 'equivalent'\nwhy = 'it is'\n"
    )
    path.write_text(text)
    assert explanations(session, path) == {name: "equivalent: it is"}
    path.write_text(text.replace(session.block.digest, "another"))
    assert explanations(session, path) == {}
    path.write_text(text.replace("equivalent", "nobody knows"))
    with pytest.raises(ValueError, match="kind must be one of"):
        explanations(session, path)


def test_mutants_of_egress_are_killed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["mutate", "egress", "--most", "10", "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)["modules"]["egress"]
    assert summary["mutants"] > 8
    assert summary["score"] >= 0.95
    assert summary["unknown"] == 0


def test_too_few_killed_or_an_unexplained_survivor_is_a_failure() -> None:
    mutant = judge.Mutant(name="inv x.Y[0]", module="", options="", where="")
    killed = judge.Judged(mutant=mutant, fate=Fate.KILLED)
    survivor = judge.Judged(mutant=mutant, fate=Fate.SURVIVED, why="equivalent: it is")
    unknown = judge.Judged(mutant=mutant, fate=Fate.UNKNOWN, why="equivalent: it is")
    assert good([killed] * 19 + [survivor])
    assert not good([killed] * 18 + [survivor])
    assert not good([killed] * 19 + [replace(survivor, why="")])
    assert not good([killed] * 19 + [unknown])
    equivalent = replace(survivor, fate=Fate.EQUIVALENT, why="")
    assert good([killed] * 19 + [equivalent] * 9)
    assert not good([killed] * 18 + [survivor] + [equivalent] * 9)
    assert not good([equivalent])
    known = [replace(killed, by=f"and: {by}") for by in ("P8-BOTH", "P8-BOTH", LOST)]
    page = render({"and": [*known, survivor, equivalent]})
    assert "| `and` | 5 | 3 | 1 | 1 | 0 | 75.0% | `and` 3 | 1 |" in page
    assert "* `and`: `inv x.Y[0]` (``): equivalent: it is\n" in page


def test_the_page_tells_of_every_module_and_of_no_failure() -> None:
    rows = [line.split(" | ") for line in command.TABLE.read_text().splitlines()]
    found = {cells[0].strip("|` "): cells for cells in rows if cells[0].startswith("| `")}
    small = [name for name, target in TARGETS.items() if not target.large]
    assert list(found) == small, "blindvisor mutate --table writes the page"
    for cells in found.values():
        assert cells[5] == "0"
        assert float(cells[6].rstrip("%")) >= 95


@pytest.mark.parametrize("arguments", [["mutate", "nothing"], ["mutate", "egress", "--table"]])
def test_bad_input_is_told(arguments, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert "module" in capsys.readouterr().err


def test_all_judges_are_proofs_of_the_catalogue(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["mutate", "--list"]) == 0
    assert capsys.readouterr().out.split() == list(TARGETS)
    assert {one.proof for target in TARGETS.values() for one in target.judges} <= set(PROOFS)
