# SPDX-License-Identifier: Apache-2.0
"""``blindvisor console`` on a board that is a model behind a pseudo-terminal."""

import io
import os
import re
import select
import subprocess
import sys
import time

import pytest

from blindvisor.hdl.config import CONFIGURATIONS
from blindvisor.sim.virtual import VirtualBoard
from blindvisor.sw.cli import main
from blindvisor.sw.guests.build import BIN
from blindvisor.sw.host.terminal import printable
from blindvisor.sw.image.elf import read_guest
from blindvisor.sw.image.pack import pack
from blindvisor.sw.model.link import ModelLink

SMALL = CONFIGURATIONS["small"]


@pytest.fixture
def board(tmp_path, root_key):
    board = VirtualBoard(ModelLink(SMALL, root_key=root_key), tmp_path)
    yield board
    board.unplug()


@pytest.fixture
def images(tmp_path, root_key):
    for guest in ("hello", "echo"):
        memories = read_guest(
            BIN / f"{guest}.elf", width=1, height=1, memory_bytes=SMALL.memory_bytes
        )
        path = tmp_path / f"{guest}.bvi"
        path.write_bytes(pack(memories, width=1, height=1, root_key=root_key))
    return tmp_path


@pytest.fixture
def console(board, monkeypatch, capsys):
    def console(*lines, options=()):
        monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(lines) + "\n"))
        code = main(["console", "--port", board.name, *options])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return console


def test_two_guests_run_and_one_is_typed_to(console, images):
    code, out, err = console(
        f"load {images}/hello.bvi 1,1",
        "# the next one goes where it fits",
        f"load {images}/echo.bvi",
        "start vm1",
        "start 2",
        "tty 1 to be or not",
        "tty 1 exit",
        "wait 60",
        "status",
        "destroy 1",
        "destroy 2",
        "quit",
    )
    assert (code, err) == (0, "")
    assert "vm1: 1 x 1 clusters at (1, 1), tty 0" in out
    assert "vm2: 1 x 1 clusters at (0, 0), tty 1" in out
    assert "tty0| hello from a VM of 1 x 1 clusters" in out
    assert "tty1| echo: to be or not" in out
    assert out.count("[exit 0]") == 2
    assert "vm1: running, 1 x 1 at (1, 1)" in out
    assert re.search(r"channel 1 \(tty\): vm2, as its channel 0", out)


def test_in_a_terminal_there_is_a_prompt_and_a_guest_to_type_to(board, images):
    master, slave = os.openpty()
    command = [sys.executable, "-c", "from blindvisor.sw.cli import main; main()"]
    shell = subprocess.Popen(
        [*command, "console", "--port", board.name], stdin=slave, stdout=slave, stderr=slave
    )
    os.close(slave)
    seen = heard = b""

    def hear(deadline):
        nonlocal seen, heard
        assert time.monotonic() < deadline, seen
        if select.select([master], [], [], 0.1)[0]:
            more = os.read(master, 4096)
            seen, heard = seen + more, heard + more

    def until(text):
        nonlocal seen
        deadline = time.monotonic() + 60
        while text not in seen:
            hear(deadline)
        seen = seen.partition(text)[2]

    def once(text):
        deadline = time.monotonic() + 60
        while text not in heard:
            hear(deadline)

    def type_in(text):
        os.write(master, text)

    try:
        until(b"small on ")
        until(b"blindvisor> ")
        type_in(b"fly\n")
        until(b"Error: no such command or call: fly")
        until(b"blindvisor> ")
        type_in(f"load {images}/echo.bvi\n".encode())
        until(b"loading: 100 %")
        until(b"blindvisor> ")
        type_in(b"start 1\n")
        until(b"blindvisor> ")
        type_in(b"tty 0\n")
        until(b"until Ctrl-]")
        once(b"echo: ready")  # what is typed before may be more than the channel holds
        type_in(b"to be\n")
        until(b"echo: to be")
        type_in(b"\x1d")
        until(b"blindvisor> ")
        type_in(b"tty 0 or not\n")
        until(b"tty0| echo: or not")
        type_in(b"quit\n")
        assert shell.wait(30) == 0
    finally:
        shell.kill()
        shell.wait()
        os.close(master)


def test_calls_by_name(console):
    code, out, _ = console("vm_create 1 0 0 2 2", "status 2 1", "vm_destroy 1", "status")
    assert code == 0
    assert out.startswith("OK\nOK\n0x1 0x2020000 0x0 0x0\nOK\nsmall: 2 x 2 clusters")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("vm_start 1", "vm_start failed with WRONG_STATE"),
        ("start 1", r"vm_start\(vm=1\) failed with WRONG_STATE"),
        ("start", "usage: start VM"),
        ("start x", "a number is needed, not x"),
        ("fly", "no such command or call: fly"),
        ("vm_load 1 16", "no such command or call: vm_load"),
        ("load", r"usage: load IMAGE \[X,Y\]"),
        ("load absent.bvi", "absent.bvi"),
        ("load pyproject.toml 1;1", "pyproject"),
        ("tty", r"usage: tty N \[TEXT\]"),
        ("tty 9 x", "a TTY must be from 0 to 3, not 9"),
        ("tty 0", "needs TEXT"),
        ("save 1", "usage: save VM FILE"),
    ],
)
def test_the_first_command_that_fails_ends_a_script(console, line, message, tmp_path, monkeypatch):
    (tmp_path / "pyproject.toml").write_text("no image")
    monkeypatch.chdir(tmp_path)
    code, out, _ = console(line, "vm_create 1 0 0 1 1")
    assert code == 1
    assert re.search(f"Error: .*{message}", out) or line.startswith("load pyproject")
    assert "OK" not in out


def test_a_vm_that_does_not_end_is_told(console, images):
    code, out, _ = console(f"load {images}/echo.bvi", "start 1", "wait 0")
    assert code == 1
    assert "Error: still running: vm1" in out


def test_help_lists_commands_and_calls(console):
    code, out, _ = console("help", "", "# nothing")
    assert code == 0
    assert "load IMAGE [X,Y]: create a VM" in out
    assert "channel_grant" in out


def test_what_is_wrong_with_the_port_is_one_sentence(console, capsys, board):
    code, _, err = console(options=["--config", "reference"])
    assert code == 2
    assert re.fullmatch(r"Error: .*2 x 2 clusters.*that is not the machine reference.*\n", err)
    assert main(["console", "--port", "/dev/absent"]) == 2
    assert "cannot be opened" in capsys.readouterr().err


def test_a_guest_cannot_control_the_terminal():
    assert printable("a\x1b[2Jb\x9bc\n") == "a?[2Jb?c\n".replace("?", "\N{REPLACEMENT CHARACTER}")
