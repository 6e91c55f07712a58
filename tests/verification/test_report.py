# SPDX-License-Identifier: Apache-2.0
"""The page of a demonstration: complete, self-contained, and readable by a browser."""

import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

from blindvisor.hdl.config import CONFIGURATIONS
from blindvisor.verification.attacks.attack import Outcome, Step, Verdict
from blindvisor.verification.attacks.catalogue import ATTACKS
from blindvisor.verification.report.evidence import collect
from blindvisor.verification.report.report import PROMISES, Guest, Phase, Report, render

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
QUIET = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
NASTY = "</pre><script>alert('guest')</script>"


def report(*, verdict: Verdict = Verdict.DENIED, right: bool = True) -> Report:
    guests = [
        Guest(
            name=name,
            x=x,
            y=0,
            width=2,
            height=height,
            output=f"{name}\n{NASTY}\n",
            right=right,
            load_cycles=1234,
            run_cycles=56_789,
        )
        for name, x, height in (("matmul", 0, 2), ("bench", 2, 1))
    ]
    outcomes = [
        Outcome(name=name, verdict=Verdict.DENIED, steps=[Step("vm_create(3)", "OCCUPIED")])
        for name in ATTACKS
    ]
    gains = [] if verdict is Verdict.DENIED else ["the whole secret"]
    outcomes[0] = Outcome(name=outcomes[0].name, verdict=verdict, gains=gains)
    return Report(
        config=CONFIGURATIONS["reference"],
        guests=guests,
        attacks=list(zip(ATTACKS.values(), outcomes, strict=True)),
        phases=[Phase("guests", 2.0, 100_000), Phase("attacks", 8.0, 400_000)],
        version="0.0",
        evidence=collect(),
    )


class _Balanced(HTMLParser):
    """Fails on a tag that is closed out of order, and collects what is loaded from elsewhere."""

    VOID = ("meta", "link", "br", "img", "input")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loaded: list[str] = []
        self.seen: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        self.loaded += [v or "" for k, v in attrs if k in ("src", "href", "srcset", "data")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_is_whole_and_loads_nothing():
    page = render(report())
    parser = _Balanced()
    parser.feed(page)
    assert parser.open == []
    assert all(source.startswith("data:image/svg+xml;base64,") for source in parser.loaded)
    assert "script" not in parser.seen
    assert not re.search(r"https?://|url\(|@import", page)


def test_the_page_shows_every_attack_promise_and_guest():
    page = render(report())
    for attack in ATTACKS.values():
        assert f"<b>{attack.name}</b>" in page
    for promise in PROMISES:
        assert f"<b>{promise}</b>" in page
    assert page.count('class="edge edge') == 2
    assert page.count("<title>cluster ") == 16
    assert f"{len(ATTACKS)} / {len(ATTACKS)}" in page
    assert "Blind, and every attack blocked" in page


def test_the_page_shows_what_was_measured_before():
    """The mesh's table is the documentation's, cell by cell; what is missing there is left out."""
    item = next(item for item in collect() if item.page == "docs/noc.md")
    page = render(report())
    assert item.picture in page
    assert item.command.startswith("blindvisor bench noc")
    for row in item.rows:
        assert "".join(f"<td>{cell}</td>" for cell in row) in page


def test_a_page_without_figures_adds_nothing(tmp_path: Path):
    (tmp_path / "noc.md").write_text("<!-- uniform -->\n<!-- /uniform -->\n")
    assert collect(tmp_path) == []


def test_the_page_tells_who_attacked_what():
    """Every threat has a row, every promise a column; what succeeded shows there, too."""
    page = render(report(verdict=Verdict.SUCCEEDED))
    matrix = page.split('class="matrix"')[1].split("</table>")[0]
    rows = matrix.split("<tr>")[2:]
    assert {row.split("</td>")[0].removeprefix("<td>") for row in rows} == {
        attack.threat for attack in ATTACKS.values()
    }
    assert all(row.count("<td>") == 1 + len(PROMISES) for row in rows)
    first = next(iter(ATTACKS.values()))
    assert matrix.count('class="mark bad"') == len(first.promises)
    shown = re.findall(r"(\d+)(?:/(\d+))?</span>", matrix)
    tried = sum(int(of or blocked) for blocked, of in shown)
    assert tried == sum(len(attack.promises) for attack in ATTACKS.values())


def test_what_a_guest_prints_cannot_become_part_of_the_page():
    page = render(report())
    assert NASTY not in page
    assert "&lt;script&gt;" in page


@pytest.mark.parametrize(
    ("given", "ok", "says"),
    [
        (report(), True, "Blind, and every attack blocked"),
        (report(verdict=Verdict.SUCCEEDED), False, "the whole secret"),
        (report(verdict=Verdict.BROKEN), False, "Not everything held"),
        (report(right=False), False, "wrong"),
    ],
)
def test_success_is_claimed_only_if_all_held(given, ok, says):
    assert given.ok is ok
    page = render(given)
    assert says in page
    assert ("Blind, and every attack blocked" in page) is ok


def test_equal_reports_give_identical_pages():
    assert render(report()) == render(report())


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
@pytest.mark.parametrize("width", [390, 1200])
def test_a_browser_shows_the_page_without_scrolling_sideways(tmp_path: Path, width: int):
    page = tmp_path / "report.html"
    # The page itself has no script; this one measures it, inside a frame as wide as the screen.
    page.write_text(render(report()))
    frame = tmp_path / "frame.html"
    frame.write_text(
        f'<iframe id="f" width="{width}" height="900" src="report.html"></iframe>'
        "<script>onload = () => { const d = document.getElementById('f').contentDocument;"
        " document.title = ['measured', d.documentElement.scrollWidth,"
        " d.querySelectorAll('details').length, d.querySelectorAll('svg rect').length].join(' ');"
        "}</script>"
    )
    command = [str(CHROMIUM), *QUIET, f"--user-data-dir={tmp_path / 'profile'}"]
    command += ["--allow-file-access-from-files", "--virtual-time-budget=3000", "--dump-dom"]
    run = subprocess.run(
        [*command, frame.as_uri()], capture_output=True, text=True, timeout=120, check=True
    )
    measured = re.search(r"<title>measured (\d+) (\d+) (\d+)</title>", run.stdout)
    assert measured is not None, run.stdout[-500:]
    scrolled, details, boxes = map(int, measured.groups())
    assert scrolled <= width
    assert details == len(ATTACKS)
    assert boxes == 16 + 2
