# SPDX-License-Identifier: Apache-2.0
"""Verdicts of earlier runs: taken at once where nothing has changed, and never wrongly."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from amaranth import Module, Signal
from amaranth.hdl import Assert, Cover
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from blindvisor.verification.formal import cache, flow, proof
from blindvisor.verification.formal.proof import Engine, Outcome, Proof, Verdict, prove, recall

pytestmark = pytest.mark.formal


class Counter(wiring.Component):
    """Counts to ten; claimed is that it is never ``wrong``."""

    choice: Signal

    def __init__(self, wrong: int = 11) -> None:
        self._wrong = wrong
        super().__init__({"choice": In(4)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        count = Signal(4)
        with m.If(count < 10):
            m.d.sync += count.eq(count + 1)
        m.d.comb += [Assert(count != self._wrong, "NEVER"), Assert(count <= 10, "STOPS")]
        m.d.comb += Cover(count == 10, "it stops")
        return m


def proof_of(spec: Callable[[], wiring.Component] = Counter, *, steps: int = 2) -> Proof:
    return Proof(
        name="tiny",
        promises=("P8",),
        spec=spec,
        engine=Engine.INDUCTION,
        steps=steps,
        cover_steps=12,
        seconds=30,
    )


def never() -> wiring.Component:
    raise AssertionError("this specification must not be made")


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the only source there is; it can be changed."""
    file = tmp_path / "sources" / "one.py"
    file.parent.mkdir()
    file.write_text("one = 1\n")
    monkeypatch.setattr(cache, "_PACKAGE", tmp_path)
    monkeypatch.setattr(cache, "ROOTS", (file.parent,))
    restart(monkeypatch)
    return file


def restart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do as a process that begins now."""
    monkeypatch.setattr(cache, "_IMPORTED", cache._now())


def kept(folder: Path) -> tuple[Path, Path]:
    """Return the short cut and the verdict of the only proof."""
    files = sorted((folder / "cache").iterdir(), key=lambda file: file.name.startswith("short-"))
    verdict, cut = files
    return cut, verdict


@pytest.mark.usefixtures("source")
def test_while_no_source_has_changed_nothing_is_elaborated(tmp_path: Path) -> None:
    first = prove(proof_of(), tmp_path, listed=True)
    again = prove(proof_of(never), tmp_path, listed=True)
    assert (first.outcome, first.cached) == (Outcome.PROVEN, False)
    assert again == replace(first, cached=True)


@pytest.mark.usefixtures("source")
def test_another_engine_or_number_of_steps_has_a_short_cut_of_its_own(tmp_path: Path) -> None:
    prove(proof_of(), tmp_path, listed=True)
    assert not prove(proof_of(steps=3), tmp_path, listed=True).cached
    with pytest.raises(AssertionError, match="must not be made"):
        prove(replace(proof_of(never), solver="yices"), tmp_path, listed=True)


@pytest.mark.usefixtures("source")
def test_a_proof_that_is_not_in_the_sources_is_elaborated(tmp_path: Path) -> None:
    prove(proof_of(), tmp_path, listed=True)
    wrong = prove(proof_of(lambda: Counter(wrong=7), steps=9), tmp_path)
    assert wrong.outcome is Outcome.FAILED


def test_a_source_that_has_changed_is_elaborated_again(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prove(proof_of(), tmp_path, listed=True)
    source.write_text("one = 2\n")
    restart(monkeypatch)
    with pytest.raises(AssertionError, match="must not be made"):
        prove(proof_of(never), tmp_path, listed=True)
    source.write_text("one = 1\n")
    restart(monkeypatch)
    assert prove(proof_of(never), tmp_path, listed=True).cached
    (source.parent / "two.py").touch()
    restart(monkeypatch)
    with pytest.raises(AssertionError, match="must not be made"):
        prove(proof_of(never), tmp_path, listed=True)


def test_what_changes_under_a_running_process_leaves_no_short_cut(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spec() -> wiring.Component:
        source.write_text("one = 2\n")  # the design is still made of the old ones
        return Counter()

    assert prove(proof_of(spec), tmp_path, listed=True).outcome is Outcome.PROVEN
    assert cache.sources() == ""
    restart(monkeypatch)  # with the new source, of which nothing was proved
    with pytest.raises(AssertionError, match="must not be made"):
        prove(proof_of(never), tmp_path, listed=True)


def test_another_version_of_a_package_is_another_short_cut(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = cache.short_cut(tmp_path, "tiny")
    monkeypatch.setattr(cache, "_installed", lambda: "another")
    restart(monkeypatch)
    assert cache.short_cut(tmp_path, "tiny") != here


@pytest.mark.usefixtures("source")
def test_a_short_cut_to_nothing_is_proved_again(tmp_path: Path) -> None:
    prove(proof_of(), tmp_path, listed=True)
    _, verdict = kept(tmp_path)
    verdict.unlink()
    assert not prove(proof_of(), tmp_path, listed=True).cached


@pytest.mark.usefixtures("source")
def test_a_damaged_file_never_says_proven(tmp_path: Path) -> None:
    prove(proof_of(), tmp_path, listed=True)
    cut, verdict = kept(tmp_path)
    assert [recall(entry, "tiny") is not None for entry in cache.follow(cut)] == [True]
    for file in (cut, verdict):
        good = file.read_bytes()
        for place in range(len(good)):
            flipped = good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :]
            for damaged in (flipped, good[:place]):
                file.write_bytes(damaged)
                # What JSON allows besides is white space, which says nothing.
                harmless = damaged.strip() == good.strip()
                found = [recall(entry, "tiny") for entry in cache.follow(cut)]
                assert harmless or found in ([], [None]), damaged
        file.write_bytes(good)


@pytest.mark.usefixtures("source")
def test_a_verdict_in_the_place_of_another_is_not_taken(tmp_path: Path) -> None:
    prove(proof_of(), tmp_path, listed=True)
    cut, verdict = kept(tmp_path)
    other = verdict.with_stem("0" * 24)
    other.write_bytes(verdict.read_bytes())
    assert recall(other, "tiny") is None
    cache.write(other, cache.read(verdict) or {})  # what was forged with more care
    assert recall(other, "tiny") is None
    moved = cut.with_stem("short-0")
    moved.write_bytes(cut.read_bytes())
    assert list(cache.follow(moved)) == []


def test_the_cache_answers_for_the_same_design_alone(tmp_path: Path) -> None:
    assert not prove(proof_of(), tmp_path).cached
    assert prove(proof_of(), tmp_path).cached
    # The same name, another specification, another way to prove it.
    verdict = prove(proof_of(lambda: Counter(wrong=5), steps=8), tmp_path)
    assert verdict.outcome is Outcome.FAILED
    assert not prove(proof_of(steps=3), tmp_path).cached


@pytest.mark.parametrize("hoped", [Outcome.PROVEN, Outcome.FAILED])
def test_only_what_is_hoped_for_is_kept(tmp_path: Path, hoped: Outcome) -> None:
    wrong = proof_of(lambda: Counter(wrong=5), steps=8)
    for again in (False, True):
        verdict = prove(wrong, tmp_path, hoped=hoped)
        assert verdict.outcome is Outcome.FAILED
        assert verdict.cached is (again and hoped is Outcome.FAILED)
        assert prove(proof_of(), tmp_path, hoped=hoped).outcome is Outcome.PROVEN


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.REFUSED])
def test_a_kept_failure_is_not_taken_for_a_proof(tmp_path: Path, outcome: Outcome) -> None:
    entry = tmp_path / "key.json"
    verdict = Verdict(name="tiny", outcome=outcome, key="key", trace="count 1")
    cache.write(entry, vars(verdict) | {"outcome": outcome.value})
    assert recall(entry, "tiny") is None
    assert (recall(entry, "tiny", outcome) or verdict).cached


def test_a_failure_without_a_counterexample_is_not_taken(tmp_path: Path) -> None:
    entry = tmp_path / "key.json"
    verdict = Verdict(name="tiny", outcome=Outcome.FAILED, key="key")
    cache.write(entry, vars(verdict) | {"outcome": "failed"})
    assert recall(entry, "tiny", Outcome.FAILED) is None


@pytest.mark.parametrize("content", ["", "{", "7", "[]", "null", "{}", '["a", "b"]', "[1, 2]"])
def test_a_file_of_another_kind_is_not_taken(tmp_path: Path, content: str) -> None:
    entry = tmp_path / "key.json"
    entry.write_text(content)
    assert cache.read(entry) is None
    assert recall(entry, "tiny") is None


@pytest.mark.parametrize(
    "body", ['"proven"', "{}", '{"outcome": "sure"}', '{"outcome": "proven", "x": 1}']
)
def test_a_whole_file_of_another_version_is_not_taken(tmp_path: Path, body: str) -> None:
    entry = tmp_path / "key.json"
    entry.write_text(json.dumps([cache.digest(entry.name, body), body]))
    assert recall(entry, "tiny") is None


def test_another_version_of_a_tool_is_another_key(monkeypatch: pytest.MonkeyPatch) -> None:
    tiny, design = proof_of(), flow.convert(Counter())
    key = proof.key_of(tiny, Engine.INDUCTION, design)
    assert proof.key_of(tiny, Engine.INDUCTION, design) == key
    other = replace(tiny, cover_steps=13)
    assert proof.key_of(other, Engine.INDUCTION, design) != key
    monkeypatch.setattr(proof.importlib.metadata, "version", lambda name: "0")
    assert proof.key_of(tiny, Engine.INDUCTION, design) != key


def test_all_that_proofs_are_made_of_is_among_the_sources() -> None:
    code = (
        "import sys, blindvisor.verification.formal.control\n"
        "ours = [m for name, m in sys.modules.items() if name.startswith('blindvisor')]\n"
        "print(*(m.__file__ for m in ours if getattr(m, '__file__', None)), sep='\\n')"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    files = [Path(line) for line in shown.stdout.splitlines()]
    assert len(files) > 50
    assert [f for f in files if not any(f.is_relative_to(root) for root in cache.ROOTS)] == []
