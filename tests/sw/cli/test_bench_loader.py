# amaranth: UnusedElaboratable=no
"""``blindvisor bench loader`` and ``bench vectors``: exit codes, tables, and what is committed."""

import json

import pytest

from blindvisor.hdl.config import CONFIGURATIONS
from blindvisor.sw.cli.app import ExitCode, main
from blindvisor.verification import engine_vectors, loader_rates, loader_table
from blindvisor.verification.controls.catalogue import FAULTS
from blindvisor.verification.controls.plant import convert_with
from blindvisor.verification.loader_rates import GOALS, POINTS, REFERENCE, judge, measure_points
from blindvisor.verification.loader_table import FIGURES, PAGE, render, write

AREA = {"lut4": 7000, "ccu2c": 50, "dpr16x4": 0, "ff": 1500, "ebr": 0}
CLOCK = {"mhz_by_seed": {"1": 64.0, "2": 62.0, "3": 61.0}, "mhz": 62.0}
LOAD = {"clusters": 1, "contents": 16384, "image": 16560, "cycles": 8500, "limit": 8192}


def made(*, sboxes=REFERENCE[0], digit=REFERENCE[1], cycles=8500, area=AREA, clock=CLOCK):
    """Figures as they would be measured."""
    return {
        **{"sboxes": sboxes, "digit": digit, "cycles_128": 8.0, "cycles_256": 8.0},
        "loads": [loader_rates._load(LOAD | {"kind": "load", "cycles": cycles})],
        "fpga": {"-nowidelut": area | clock, "": area | clock},
    }


def test_the_committed_tables_are_those_of_the_committed_figures():
    page = PAGE.read_text()
    assert render(page, json.loads(FIGURES.read_text())) == page


def test_the_committed_figures_are_of_every_point_and_reach_the_goals():
    figures = json.loads(FIGURES.read_text())
    points = {(point["sboxes"], point["digit"]): point for point in figures["points"]}
    assert tuple(points) == POINTS
    assert all(point["loads"] for point in points.values())
    assert points[REFERENCE]["fpga"]["-nowidelut"]["mhz"] >= GOALS["mhz"]
    assert judge(points[REFERENCE]) == figures["missed"] == []


@pytest.mark.parametrize(
    ("figures", "missed"),
    [
        (made(), None),
        (made(cycles=8700), "must have 95 % of the lane's limit, not 94.2 %"),
        (made() | {"cycles_256": 8.5}, "at most 8 cycles, not 8.50"),
        (made(area=AREA | {"lut4": 8001}), "at most 8000 LUT4, not 8001"),
        (made(clock={"mhz": 59.9}), "must reach 60 MHz, not 59.9"),
    ],
)
def test_a_missed_goal_is_named_and_the_exit_code(monkeypatch, capsys, figures, missed):
    monkeypatch.setattr(loader_rates, "measure_points", lambda points, **how: [figures])
    code = main(["bench", "loader", "--reference"])
    out, err = capsys.readouterr()
    assert code == (ExitCode.OK if missed is None else ExitCode.CHECK_FAILED)
    assert (missed or "") in err
    assert f"{figures['loads'][0]['share']:.1f} %" in out


def test_the_command_writes_figures_and_tables(tmp_path, monkeypatch, capsys):
    page = tmp_path / "loader.md"
    page.write_text(PAGE.read_text())
    points = [made(sboxes=sboxes, digit=digit) for sboxes, digit in POINTS]
    del points[0]["fpga"]["-nowidelut"]["mhz"]
    monkeypatch.setattr(loader_rates, "measure_points", lambda chosen, **how: points)
    monkeypatch.setattr(
        loader_table, "write", lambda figures, write=write: write(figures, page=page)
    )
    assert main(["bench", "loader", "--table", "--json"]) == ExitCode.OK
    told = json.loads(capsys.readouterr().out)
    assert json.loads(page.with_suffix(".json").read_text()) == told
    assert told["points"] == points
    text = page.read_text()
    assert "| **32** | **16** | 8.00 / 8.00 | 1 | 8,500 | 1.928 | 0.519 | 0.500 | 96.4 % |" in text
    assert "| 7,000 | 50 | 1,500 | 0 | 64.0, 62.0, 61.0 | 62.0 | 992 | 141.7 |" in text
    assert "| Blindvisor (32, 16) | complete GCM, 128 and 256 | 7,000 | 1,500 | 62.0 |" in text
    assert render(text, told) == text
    assert main(["bench", "loader", "--table", "--reference"]) == ExitCode.BAD_INPUT
    with pytest.raises(ValueError, match="must have the marks <!-- loads -->"):
        render("no table", told)


def test_what_is_cheap_is_measured_first_and_the_reference_before_the_others(monkeypatch):
    order = []

    def cycles(point, cache, step):
        order.append(("cycles", point))
        return {}

    def measure(block, *, options, seeds, cache, measuring, step):
        (point,) = block.args
        order.append((len(seeds), point, options))
        return AREA

    monkeypatch.setattr(loader_rates, "_cycles", cycles)
    monkeypatch.setattr(loader_rates, "measure", measure)
    found = measure_points(POINTS)
    assert [(point["sboxes"], point["digit"]) for point in found] == list(POINTS)
    assert order[:4] == [("cycles", point) for point in POINTS]
    others = [point for point in POINTS if point != REFERENCE]
    for start, seeds in ((4, 0), (9, 1), (14, 3)):
        both = [(seeds, REFERENCE, options) for options in ("-nowidelut", "")]
        rest = [(seeds, point, "-nowidelut") for point in others]
        assert order[start : start + 5] == both + rest


def vectors(capsys):
    code = main(["bench", "vectors", "--every", "60", "--messages", "40", "--json"])
    return code, json.loads(capsys.readouterr().out)


@pytest.mark.cocotb
def test_vectors_end_with_0_if_all_are_right(capsys):
    code, figures = vectors(capsys)
    assert (code, figures["failures"]) == (ExitCode.OK, [])
    assert figures["random"] == 40
    assert sum(figures["published"].values()) > 50


@pytest.mark.cocotb
def test_vectors_end_with_1_if_the_engine_compares_32_bits_of_the_tag(capsys, monkeypatch):
    verilog = convert_with(
        FAULTS["tag-32-bits"],
        CONFIGURATIONS["small"],
        "blindvisor.hdl.loader.engine:GcmEngine",
        sboxes=32,
        digit=16,
    )
    monkeypatch.setattr(engine_vectors, "GcmEngine", lambda **parameters: verilog)
    code, figures = vectors(capsys)
    assert code == ExitCode.CHECK_FAILED
    assert any(failure.startswith("message ") for failure in figures["failures"])
