# SPDX-License-Identifier: Apache-2.0
"""The command group: lazy, one sentence per error, documented exit codes."""

import subprocess
import sys

import click
import pytest

from blindvisor.sw.cli import app
from blindvisor.sw.cli.app import COMMANDS, CommandError, ExitCode, main


@pytest.fixture
def command(monkeypatch):
    """Registers a command that does what it is given."""

    def register(act):
        @click.command()
        def probe():
            return act()

        monkeypatch.setattr(app, "probe_command", probe, raising=False)
        monkeypatch.setitem(COMMANDS, "probe", (app.__name__, "probe_command", "For tests."))

    return register


def test_help_names_all_commands_and_exit_codes(capsys):
    assert main(["--help"]) == ExitCode.OK
    text = capsys.readouterr().out
    assert all(name in text and line in text for name, (_, _, line) in COMMANDS.items())
    assert "Exit codes" in text


def test_every_command_can_be_loaded_and_has_help(capsys):
    for name in COMMANDS:
        assert main([name, "--help"]) == ExitCode.OK
        assert f"Usage: blindvisor {name}" in capsys.readouterr().out


def test_image_command_loads_no_simulator():
    code = (
        "import sys; from blindvisor.sw.cli import main; main(['image', '--help']);"
        "sys.exit(any(name in sys.modules for name in ('cocotb', 'minerva', 'hypothesis')))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_help_loads_no_command():
    code = (
        "import sys; from blindvisor.sw.cli import main; main(['--help']);"
        "sys.exit(any(name in sys.modules for name in ('amaranth', 'Crypto', 'rich')))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


@pytest.mark.parametrize("arguments", [[], ["nothing"], ["--wrong"], ["image", "nothing"]])
def test_wrong_usage_ends_with_2(arguments):
    assert main(arguments) == ExitCode.BAD_INPUT


@pytest.mark.parametrize(
    ("act", "code", "message"),
    [
        (lambda: None, 0, ""),
        (lambda: ExitCode.CHECK_FAILED, 1, ""),
        (lambda: _raise(CommandError("no good", ExitCode.CHECK_FAILED)), 1, "Error: no good\n"),
        (lambda: _raise(CommandError("no good")), 2, "Error: no good\n"),
        (lambda: open("/nowhere/file"), 2, "Error: /nowhere/file: no such file or directory\n"),
        (lambda: _raise(KeyboardInterrupt()), 130, "Interrupted.\n"),
    ],
)
def test_ends_of_a_command(command, capsys, act, code, message):
    command(act)
    assert main(["probe"]) == code
    assert capsys.readouterr().err.strip() == message.strip()


def test_verbose_error_shows_where_it_comes_from(command, capsys):
    command(lambda: _raise(CommandError("no good")))
    assert main(["-v", "probe"]) == ExitCode.BAD_INPUT
    assert "Traceback" in capsys.readouterr().err


def test_bug_keeps_its_traceback(command):
    command(lambda: _raise(ZeroDivisionError()))
    with pytest.raises(ZeroDivisionError):
        main(["probe"])


def test_settings_reach_a_command(command):
    seen = []
    command(lambda: seen.append(app.settings().verbose))
    main(["-vv", "probe"])
    main(["probe"])
    assert seen == [2, 0]


def _raise(error):
    raise error
