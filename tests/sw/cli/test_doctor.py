# SPDX-License-Identifier: Apache-2.0
"""``blindvisor doctor``."""

import dataclasses
import json

import pytest

from blindvisor.sw.cli import doctor
from blindvisor.sw.cli.app import ExitCode, main


def tools(**found):
    """A table of tools in which ``need`` groups are there or not."""
    return tuple(
        doctor.Tool(
            name=need,
            purpose="tests",
            need=need,
            advice=f"install {need}",
            probe=lambda there=there: "1.0" if there else None,
        )
        for need, there in found.items()
    )


@pytest.mark.parametrize(
    ("found", "code"),
    [
        ({"required": True, "verilator": True, "icarus": True, "optional": True}, ExitCode.OK),
        ({"required": True, "verilator": True, "icarus": False, "optional": False}, ExitCode.OK),
        ({"required": True, "verilator": False, "icarus": True}, ExitCode.OK),
        ({"required": True, "verilator": False, "icarus": False}, ExitCode.MISSING_TOOL),
        ({"required": False, "verilator": True, "icarus": True}, ExitCode.MISSING_TOOL),
    ],
)
def test_exit_code_tells_whether_work_is_possible(monkeypatch, capsys, found, code):
    monkeypatch.setattr(doctor, "TOOLS", tools(**found))
    assert main(["doctor"]) == code
    out, err = capsys.readouterr()
    assert all((f"install {need}" in out) == (not there) for need, there in found.items())
    assert bool(err) == (code != ExitCode.OK)
    assert main(["doctor", "--json"]) == code
    report = json.loads(capsys.readouterr().out)
    assert report["ok"] == (code == ExitCode.OK)
    assert {item["name"]: item["version"] is not None for item in report["tools"]} == found


def test_this_environment_is_examined(capsys):
    findings, _ = doctor.examine()
    versions = {finding.name: finding.version for finding in findings}
    assert versions["amaranth"] == "0.5.10"
    assert all(finding.advice for finding in findings if finding.version is None)


def test_missing_package_and_program_are_missing():
    absent = dataclasses.replace(doctor._package("amaranth", "tests"), name="amaranth")
    assert absent.probe() is not None
    assert doctor._package("no-such-package-here", "tests").probe() is None
    program = doctor._program(("no-such-program-here",), (), "tests", need="optional", package="x")
    assert program.probe() is None


def test_program_that_says_nothing_is_there():
    program = doctor._program(("true",), (), "tests", need="optional", package="x")
    assert program.probe() == "unknown"
