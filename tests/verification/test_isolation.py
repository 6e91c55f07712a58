# amaranth: UnusedElaboratable=no
"""``blindvisor bench isolation``: no cost and no trace of neighbours, and that it could be seen."""

import copy
import json
import random

import pytest

from blindvisor.hdl.config import CONFIGURATIONS
from blindvisor.sim.recording import Difference, Recording, Signal
from blindvisor.sw.cli.app import ExitCode, main
from blindvisor.verification.controls.plant import elaborate_with
from blindvisor.verification.isolation.measure import judge, measure
from blindvisor.verification.isolation.page import FIGURES, PAGE, render
from blindvisor.verification.isolation.places import clusters, corners, fill
from blindvisor.verification.isolation.traces import (
    accesses,
    information,
    launched,
    run_cycles,
)
from blindvisor.verification.isolation.variants import VARIANTS

SMALL, REFERENCE = CONFIGURATIONS["small"], CONFIGURATIONS["reference"]


def recorded(cycles):
    """A recording of one core, from a dictionary of values per cycle."""
    names = {"reset": 1, "ibus__stb": 1, "ibus__adr": 4, "ibus__ack": 1, "ibus__err": 1}
    names |= {"dbus__stb": 1, "dbus__we": 1, "dbus__adr": 4, "dbus__ack": 1, "dbus__err": 1}
    sizes = names.items()
    data = b"".join(
        cycle.get(name, 0).to_bytes(size, "little") for cycle in cycles for name, size in sizes
    )
    signals = tuple(Signal("core", name) for name in names)
    return Recording(signals, tuple(names.values()), memoryview(data))


TTY = (0xFFC0_0004) >> 2
LIFE = [
    {"reset": 1},
    {"dbus__stb": 1, "dbus__adr": 0x1000_0000 >> 2},
    {"dbus__stb": 1, "dbus__adr": 0x1000_0000 >> 2, "dbus__ack": 1},
    {"dbus__stb": 1, "dbus__we": 1, "dbus__adr": TTY},
    {"dbus__stb": 1, "dbus__we": 1, "dbus__adr": TTY},
    {"dbus__stb": 1, "dbus__we": 1, "dbus__adr": TTY, "dbus__ack": 1},
    {"dbus__stb": 1, "dbus__adr": 0x0080_0000 >> 2, "dbus__err": 1},
]


def test_a_recording_tells_run_time_and_accesses():
    life = launched(recorded(LIFE))
    assert len(life) == 6
    assert run_cycles(life) == 5
    found = accesses(life, 1)
    assert {kind: (one["count"], one["least"], one["most"]) for kind, one in found.items()} == {
        "I/O channel": (1, 3, 3),
        "cluster 1 hop away": (1, 2, 2),
        "own registers": (1, 1, 1),
    }
    with pytest.raises(ValueError, match="is started"):
        launched(recorded(LIFE[:1]))
    with pytest.raises(ValueError, match="writes to its TTY"):
        run_cycles(recorded(LIFE[:3]))


@pytest.mark.parametrize("changed", range(len(LIFE)))
def test_the_first_difference_is_found_in_every_cycle(changed):
    other = [cycle | ({"ibus__adr": 7} if n >= changed else {}) for n, cycle in enumerate(LIFE)]
    left, right = recorded(LIFE), recorded(other)
    assert left.first_difference(left) is None
    assert left.first_difference(right) == Difference(changed, Signal("core", "ibus__adr"), 0, 7)
    assert left.cut(0, changed).digest() == right.cut(0, changed).digest()
    assert left.digest() != right.digest()


def test_information_is_that_of_a_clean_and_of_a_useless_channel():
    assert information([0, 1, 1, 0], [5, 9, 9, 5]) == 1
    assert information([0, 1, 0, 1], [5, 5, 9, 9]) == 0
    assert 0 < information([0, 1, 0, 1, 0, 1], [5, 9, 5, 9, 9, 5]) < 1


@pytest.mark.parametrize("config", [SMALL, REFERENCE], ids=lambda config: config.name)
def test_attackers_fill_the_mesh_around_the_victim(config):
    for at in corners(config, 2, 1):
        owned = [clusters(config, place) for place in fill(config, at, random.Random(1))]
        flat = [n for one in owned for n in one]
        assert len(flat) == len(set(flat)) >= config.clusters - 2 - (config.clusters > 4)
        assert not set(flat) & set(clusters(config, at))
        assert len(owned) < config.vms


@pytest.mark.parametrize("name", [name for name, fault in VARIANTS.items() if fault])
def test_every_variant_is_hardware(name):
    fault = VARIANTS[name]
    assert fault is not None
    elaborate_with(fault, SMALL)


@pytest.mark.cocotb
def test_isolation_costs_nothing_and_nobody_is_noticed_except_on_the_leaky_machine():
    figures = measure(
        SMALL,
        **{"guests": ["hello"], "places": 1, "seeds": 1, "symbols": 4, "calls": False},
        **{"media": ["I/O network"], "fast": False},
    )
    assert judge(figures) == []
    (run,) = figures["runs"]
    (among,) = run["among"]
    assert run["cycles"] == run["unchecked"] == among["cycles"] > 1000
    assert run["unchecked_difference"] is among["difference"] is None
    assert among["digest"] == run["digest"]
    assert among["attackers"] > 0
    assert among["calls"] > 10
    times = figures["accesses"]["hello"]
    assert times["shipped"] == times["unchecked"]
    assert {"own memory", "cluster 1 hop away", "I/O channel"} <= set(times["shipped"])
    (control,) = figures["controls"]
    assert times["leaky"]["cluster 1 hop away"]["least"] > 2
    assert times["leaky"]["own memory"]["least"] == times["shipped"]["own memory"]["least"]
    assert control["among"]["difference"]["cycle"] > 0
    capacity = {(c["medium"], c["variant"]): c["bits_per_symbol"] for c in figures["covert"]}
    assert capacity["I/O network", "shipped"] == 0
    assert capacity["I/O network", "leaky"] > 0


def test_what_cannot_be_measured_is_refused():
    assert main(["bench", "isolation", "--config", "single"]) == ExitCode.BAD_INPUT
    assert main(["bench", "isolation", "--guest", "nobody"]) == ExitCode.BAD_INPUT
    assert main(["bench", "isolation", "--guest", "hello", "--table"]) == ExitCode.BAD_INPUT


def test_the_committed_figures_are_as_promised_and_the_page_is_theirs():
    figures = json.loads(FIGURES.read_text())
    assert {run["guest"] for run in figures["runs"]} == {"hello", "matmul", "interrupts", "bench"}
    assert judge(figures) == []
    page = PAGE.read_text()
    assert render(page, figures) == page


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda f: f["runs"][0].update(cycles=f["runs"][0]["unchecked"] + 1), "without checks"),
        (
            lambda f: f["runs"][0]["among"][0].update(difference={"cycle": 7, "signal": "ack"}),
            "must not depend on attackers, and does from cycle 7 on",
        ),
        (lambda f: f["controls"][0]["among"].update(difference=None), "must depend on attackers"),
        (lambda f: f["covert"][0].update(bits_per_symbol=0.5), "must tell 0 bits per symbol"),
        (lambda f: f["covert"][1].update(bits_per_symbol=0.0), "must tell more than 0 bits"),
        (
            lambda f: f["accesses"]["hello"]["shipped"]["fetch"].update(most=3),
            "must take what they take without checks",
        ),
    ],
)
def test_a_figure_that_is_not_as_promised_is_named(change, says):
    figures = copy.deepcopy(json.loads(FIGURES.read_text()))
    change(figures)
    assert any(says in missed for missed in judge(figures))
    assert render(PAGE.read_text(), figures) != PAGE.read_text()
