# amaranth: UnusedElaboratable=no
"""``blindvisor bench noc``: the measurement can fail, and the page is what was measured."""

import json

import pytest

from blindvisor.hdl.config import CONFIGURATIONS
from blindvisor.sw.cli.app import ExitCode, main
from blindvisor.verification.controls.plant import Edit, Fault, convert_with
from blindvisor.verification.drawing import drawn_from
from blindvisor.verification.noc import measure
from blindvisor.verification.noc.measure import DEFAULT_DEPTH, GOALS, judge, measure_mesh
from blindvisor.verification.noc.page import CAPACITY, FIGURES, PAGE, PLOT, render
from blindvisor.verification.noc.patterns import PATTERNS, bound, hops, uniform
from blindvisor.verification.noc.plots import plot

SLOW = Fault(
    name="fifo-slow",
    promises=(),
    breaks="a word that comes into an empty FIFO can leave a cycle later than it could",
    edits=(
        Edit(
            "noc/fifo.py",
            "            self.reader.valid.eq(~empty),\n",
            "            self.reader.valid.eq(~empty & ~fresh),\n",
        ),
        Edit(
            "noc/fifo.py",
            "        full = Signal()\n",
            "        full = Signal()\n"
            "        fresh = Signal()\n"
            "        m.d.sync += fresh.eq(empty)\n",
        ),
        Edit(
            "noc/fifo.py",
            "taken.eq(~empty & self.reader.ready)",
            "taken.eq(~empty & ~fresh & self.reader.ready)",
        ),
    ),
)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_every_cluster_sends_to_others_or_is_silent(pattern):
    for row, weights in enumerate(PATTERNS[pattern](4, 4)):
        assert weights[row] == 0
        assert sum(weights) == pytest.approx(1) or sum(weights) == 0


def test_the_bound_of_uniform_traffic_is_the_bisection_capacity():
    for width, capacity in CAPACITY.items():
        assert bound(width, uniform(width, width)) == pytest.approx(capacity)
        assert capacity == 4 * width * (width**2 - 1) / width**4
    assert hops(4, 0, 15) == 6


def test_transpose_needs_a_square_mesh():
    with pytest.raises(ValueError, match="square mesh, not 4 x 2"):
        PATTERNS["transpose"](4, 2)


@pytest.mark.cocotb
def test_a_small_mesh_reaches_the_goals():
    mesh = measure_mesh(width=2, height=2, window=1000, seeds=(1,))
    assert judge(mesh) == []
    assert mesh["zero_load"] == {"1": {"1": [2, 2], "2": [3, 3]}, "4": {"1": [5, 5], "2": [6, 6]}}
    assert len(mesh["traffic"]) == 2 * len(PATTERNS)
    for found in mesh["traffic"]:
        first = found["curve"][0]
        assert first["latency"] > 2
        assert first["carried"] == pytest.approx(first["offered"], rel=0.2)


@pytest.mark.cocotb
def test_a_router_that_takes_a_cycle_longer_misses_the_goal():
    slow = convert_with(
        SLOW,
        CONFIGURATIONS["small"],
        "blindvisor.hdl.noc.mesh:Mesh",
        width=2,
        height=2,
        fifo_depth=DEFAULT_DEPTH,
    )
    mesh = measure_mesh(
        **{"width": 2, "height": 2, "patterns": ["uniform random"], "curves": False},
        **{"window": 500, "seeds": (1,), "verilog": slow},
    )
    assert mesh["zero_load"]["1"] == {"1": [4, 4], "2": [6, 6]}
    assert any("one cycle per hop and a constant, not [3, 4]" in goal for goal in judge(mesh))


def test_what_saturates_too_early_misses_the_goal(monkeypatch, capsys):
    mesh = next(m for m in json.loads(FIGURES.read_text())["meshes"] if m["fifo_depth"] == 2)
    assert len(judge(mesh)) == len(GOALS)
    shallow = mesh | {"fifo_depth": DEFAULT_DEPTH}
    monkeypatch.setattr(measure, "measure_mesh", lambda **how: shallow)
    assert main(["bench", "noc", "--mesh", "4", "--no-peers-depth"]) == ExitCode.CHECK_FAILED
    assert "packets of 4 must reach 60% of the capacity, not 5" in capsys.readouterr().err
    assert main(["bench", "noc", "--mesh", "4", "--table"]) == ExitCode.BAD_INPUT


def test_the_committed_figures_reach_the_goals_and_page_and_plot_are_theirs():
    figures = json.loads(FIGURES.read_text())
    default = [m for m in figures["meshes"] if m["fifo_depth"] == DEFAULT_DEPTH]
    assert [(m["width"], m["height"]) for m in default] == [(4, 4), (8, 8)]
    assert [goal for m in default for goal in judge(m)] == figures["missed"] == []
    page = PAGE.read_text()
    assert render(page, figures) == page
    assert drawn_from(PLOT.read_text(), figures)
    changed = json.loads(FIGURES.read_text())
    changed["meshes"][0]["traffic"][0]["carried"] += 0.1
    assert render(page, changed) != page
    assert not drawn_from(PLOT.read_text(), changed)
    assert drawn_from(plot(changed), changed)
