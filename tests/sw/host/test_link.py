# SPDX-License-Identifier: Apache-2.0
"""The link over a pseudo-terminal to the model of a board."""

import random
import threading
import time
from typing import Any

import pytest

from blindvisor.hdl.abi import Call, HypervisorRegister, Result, VmState
from blindvisor.hdl.config import CONFIGURATIONS, MachineConfig
from blindvisor.sim.virtual import LineNoise, VirtualBoard
from blindvisor.sw.guests.build import BIN
from blindvisor.sw.host import wire
from blindvisor.sw.host.device import Device
from blindvisor.sw.host.errors import (
    DeviceReset,
    NoAnswer,
    PortLost,
    SessionTaken,
    WrongDevice,
)
from blindvisor.sw.host.link import UartLink
from blindvisor.sw.hypervisor.errors import HypervisorError, WrongState
from blindvisor.sw.hypervisor.hypervisor import Hypervisor
from blindvisor.sw.hypervisor.link import BusError, LinkTimeout
from blindvisor.sw.image.elf import read_guest
from blindvisor.sw.image.pack import pack
from blindvisor.sw.model.link import ModelLink

R = HypervisorRegister
NOISE = 0.0007
"""Of the bytes of a line, each of the three kinds: a frame in three or four is spoiled."""

CONFIG = MachineConfig(name="tiny", width=2, height=1, memory_bytes=8192, attest_channels=1)


class CountingLink(ModelLink):
    """Counts what must happen once."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.commands = []
        self.staged = []

    def write(self, address, value):
        super().write(address, value)
        if address == R.COMMAND.value:
            self.commands.append(value)
        elif address == R.STAGING.value:
            self.staged.append(value)


@pytest.fixture
def machine(root_key):
    return CountingLink(CONFIG, root_key=root_key)


@pytest.fixture
def board(machine, tmp_path):
    board = VirtualBoard(machine, tmp_path)
    yield board
    board.unplug()


@pytest.fixture
def connect(board):
    """Open links to the board, quick ones; close them in the end."""
    links = []

    def connect(config=CONFIG, **options):
        given: dict[str, Any] = {"timeout": 0.1, "patience": 3.0} | options
        links.append(UartLink(board.name, config, **given))
        return links[-1]

    yield connect
    for link in links:
        link.close()


def image(root_key, guest="hello"):
    memories = read_guest(BIN / f"{guest}.elf", width=1, height=1, memory_bytes=8192)
    return pack(memories, width=1, height=1, root_key=root_key)


def test_it_finds_out_which_machine_is_there(tmp_path, root_key):
    board = VirtualBoard(ModelLink(CONFIGURATIONS["small"], root_key=root_key), tmp_path)
    with UartLink(board.name) as link:
        assert link.config is CONFIGURATIONS["small"]
        assert link.clock_hz == 40_000_000
    board.unplug()


def test_registers_behave_as_on_the_model(connect, root_key):
    link, model = connect(), ModelLink(CONFIG, root_key=root_key)
    rng = random.Random(1)
    addresses = [register.value for register in R] + [0x002, 0x034, 0x0FC, 0x100, 0x108, 0xFFF]
    for _ in range(300):
        address, value = rng.choice(addresses), rng.choice([0, 1, 4, rng.getrandbits(32)])
        write = rng.random() < 0.5 and not (address == R.COMMAND.value and value == 2)
        results = []
        for end in (link, model):
            try:
                results.append(end.write(address, value) if write else end.read(address))
            except BusError as error:
                results.append((error.address, error.write))
        assert results[0] == results[1], (hex(address), value if write else None)


@pytest.mark.parametrize("address", [-1, 0x1000])
def test_an_address_that_the_port_cannot_have_is_refused_here(connect, address):
    with pytest.raises(ValueError, match="address must be from 0 to 0xfff"):
        connect().read(address)


LIMIT = 300_000  # cycles
TYPED = b"the quick brown fox, jumps~}over\n"


def scenario(link, images):
    """Two guests, one of which is typed to; return what they printed."""
    hypervisor = Hypervisor(link)
    printed = {}
    for channel, content in enumerate(images):
        vm = hypervisor.create(width=1, height=1)
        vm.grant(channel, 0)
        vm.load(content)
        vm.start()
        printed[channel] = b""
    link.tty_write(1, TYPED)
    while b"[exit 0]\n" not in printed[0] or TYPED not in printed[1]:
        assert link.cycles < LIMIT, printed
        link.advance(1000)
        for channel, text in printed.items():
            printed[channel] = text + link.tty_read(channel)
    for vm in (1, 2):
        hypervisor.vm_destroy(vm)
    return printed


class Run:
    """The scenario on a board: what the guests printed, what the machine was asked."""

    def __init__(self, folder, root_key, images, *, rate=0.0):
        self.machine = CountingLink(CONFIG, root_key=root_key)
        self.error = self.printed = None
        lines = [LineNoise(seed=seed, rate=rate) for seed in (1, 2)]
        board = VirtualBoard(self.machine, folder, to_board=lines[0], to_host=lines[1])
        try:
            with UartLink(board.name, CONFIG, timeout=0.05, attempts=20, piece=64) as link:
                self.printed = scenario(link, images)
                self.retries = link.retries
        except (HypervisorError, AssertionError) as error:
            self.error = error
        finally:
            board.unplug()

    def outcome(self):
        """What must not depend on the line."""
        return self.printed, self.machine.commands, self.machine.staged


@pytest.fixture
def images(root_key):
    return [image(root_key, guest) for guest in ("hello", "echo")]


def test_a_noisy_line_loses_nothing_and_does_nothing_twice(tmp_path, root_key, images):
    quiet = Run(tmp_path, root_key, images)
    assert quiet.error is None
    noisy = Run(tmp_path, root_key, images, rate=NOISE)
    assert noisy.error is None
    assert noisy.retries >= 5, "the noise must have cost frames"
    assert noisy.outcome() == quiet.outcome()


class Forgetful(Device):
    """Control: does not remember the last sequence number."""

    def _carry_out(self, frame):
        self._last = None
        return super()._carry_out(frame)


def test_without_the_sequence_memory_the_noise_test_fails(tmp_path, root_key, images, monkeypatch):
    quiet = Run(tmp_path, root_key, images)
    monkeypatch.setattr("blindvisor.sim.virtual.Device", Forgetful)
    noisy = Run(tmp_path, root_key, images, rate=NOISE)
    assert noisy.outcome() != quiet.outcome()


@pytest.mark.parametrize("device", [Device, Forgetful])
def test_a_call_whose_answer_is_lost_is_not_made_again(board, machine, connect, device):
    hypervisor = Hypervisor(connect())
    board.device.__class__ = device
    before = len(machine.commands)

    def lose_once(line):
        if machine.commands[before:]:
            board.to_host = bytes
            return b""
        return line

    board.to_host = lose_once
    if device is Device:
        hypervisor.vm_create(1, x=0, y=0, width=1, height=1)
        assert machine.commands[before:] == [Call.VM_CREATE.value]
    else:  # the control: the machine refuses the second one
        with pytest.raises(WrongState):
            hypervisor.vm_create(1, x=0, y=0, width=1, height=1)
        assert machine.commands[before:] == 2 * [Call.VM_CREATE.value]


def test_without_the_crc_the_noise_test_fails(tmp_path, root_key, images, monkeypatch):
    quiet = Run(tmp_path, root_key, images)
    monkeypatch.setattr(wire.zlib, "crc32", lambda data: 0x5A5A5A5A)
    noisy = Run(tmp_path, root_key, images, rate=NOISE)
    assert noisy.outcome() != quiet.outcome()


def test_an_unplugged_board_answers_the_same_call_after_its_return(board, machine, connect):
    link = connect()
    hypervisor = Hypervisor(link)
    before = len(machine.commands)

    def unplug_once():
        if machine.commands[before:]:
            board.on_answer = lambda: True
            threading.Timer(0.5, board.plug).start()
            return False
        return True

    board.on_answer = unplug_once
    hypervisor.vm_create(1, x=0, y=0, width=1, height=1)
    assert machine.commands[before:] == [Call.VM_CREATE.value]
    assert hypervisor.vm_status(1).state is VmState.CREATED


def test_a_board_that_stays_away_is_told_and_known_again_later(board, machine, connect, root_key):
    link = connect(patience=0.5)
    hypervisor = Hypervisor(link)
    vm = hypervisor.create(width=1, height=1)

    def unplug_in_the_load():
        return len(machine.staged) < 300

    board.on_answer = unplug_in_the_load
    with pytest.raises(PortLost, match=r"did not come back within 0\.5 s"):
        vm.load(image(root_key))
    board.on_answer = lambda: True
    board.plug()
    link.reconnect()  # the machine was left in the middle of a load
    assert link.read(R.STATUS.value) == 0
    assert hypervisor.load_status() is Result.ABORTED
    assert hypervisor.vm_status(1).state is VmState.EMPTY


def test_a_new_host_ends_what_the_last_one_left_behind(board, connect, root_key):
    first = connect()
    Hypervisor(first).create(width=1, height=1)
    first.write(R.ARG0.value, 1)
    first.write(R.ARG1.value, len(image(root_key)))
    first.write(R.COMMAND.value, Call.VM_LOAD.value)
    first.close()
    hypervisor = Hypervisor(connect())
    assert hypervisor.vm_status(1).state is VmState.EMPTY


def test_a_board_that_was_reset_is_told_at_the_next_call(board, connect):
    link = connect()
    board.device.reset()
    with pytest.raises(DeviceReset, match="was reset since the link was opened"):
        link.read(R.STATUS.value)
    with pytest.raises(DeviceReset):
        link.reconnect()
    link.close()
    connect().read(R.STATUS.value)  # a new link is what helps


def test_another_hosts_session_is_told_after_the_return_of_the_port(board, connect):
    link = connect()
    board.unplug()
    board.plug()
    other = connect()
    other.close()
    link._exchange.close()
    with pytest.raises(SessionTaken, match="another host"):
        link.read(R.STATUS.value)


def test_a_port_that_another_host_has_is_told(connect):
    connect()
    with pytest.raises(PortLost, match="cannot be opened: could not exclusively lock"):
        connect()


def test_a_port_that_is_not_there_is_told():
    with pytest.raises(PortLost, match=r"/dev/absent cannot be opened: .*no such file"):
        UartLink("/dev/absent", CONFIG)


def test_another_machine_on_the_port_is_told_with_both_descriptions(connect):
    with pytest.raises(WrongDevice, match=r"2 x 1 clusters .* 8192 bytes.*not the machine small"):
        connect(CONFIGURATIONS["small"])
    with pytest.raises(WrongDevice, match=r"not any of reference, small"):
        connect(None)


def test_a_line_that_says_nothing_is_told(board, connect):
    board.device.feed = lambda data: b""
    with pytest.raises(NoAnswer, match=r"nothing answers .* \(3 attempts\): is it the board's"):
        connect(attempts=3)


@pytest.mark.parametrize("kind", ["noise", "echo", "modem"])
def test_something_else_on_the_port_is_told(board, connect, kind):
    rng = random.Random(3)
    board.device.feed = {
        "noise": lambda data: rng.randbytes(200),
        "echo": lambda data: data,
        "modem": lambda data: b"\r\nERROR\r\n",
    }[kind]
    with pytest.raises(WrongDevice, match=r"no board of blindvisor, .* sent \d+ bytes without"):
        connect(attempts=3)


def test_a_line_that_goes_noisy_for_good_is_told(board, connect):
    link = connect(attempts=3)
    board.to_host = LineNoise(seed=1, rate=0.3)
    with pytest.raises(NoAnswer, match="noisy"):
        link.read(R.STATUS.value)
    board.to_host = bytes
    link.reconnect()
    assert link.read(R.STATUS.value) == 0


def test_another_version_of_the_link_is_told(board, connect, monkeypatch):
    monkeypatch.setattr("blindvisor.sw.host.device.LINK_MAGIC", 0x324B4C42)
    with pytest.raises(WrongDevice, match="another version of the link"):
        connect()


def test_a_call_that_does_not_end_times_out_in_the_machines_cycles(connect):
    link = connect()
    with pytest.raises(LinkTimeout, match="within 5000 cycles"):
        link.wait_done(5000)
    assert link.cycles >= 5000


def test_a_guest_that_prints_without_end_holds_up_nobody(connect, machine):
    link = connect()
    machine.tty_read = lambda channel: b"x" * 5000 if channel == 0 else b""
    began = time.monotonic()
    link.advance(1000)
    assert link.tty_read(0)
    assert time.monotonic() - began < 10


def test_time_passes_as_asked(connect):
    link = connect()
    before = link.cycles
    link.advance(3000)
    assert link.cycles - before >= 3000
    with pytest.raises(ValueError, match="must not be negative"):
        link.advance(-1)


@pytest.mark.parametrize("channel", [-1, 4])
def test_a_channel_that_is_no_tty_is_refused(connect, channel):
    link = connect()
    with pytest.raises(ValueError, match="TTY channel must be from 0 to 3"):
        link.tty_read(channel)
    with pytest.raises(ValueError, match="TTY channel must be from 0 to 3"):
        link.tty_write(channel, b"x")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"piece": 0}, "piece must be from 1"),
        ({"piece": 256}, "piece must be from 1"),
        ({"attempts": 0}, "attempts must be at least 1"),
        ({"baud": 0}, "must be positive"),
        ({"timeout": 0}, "must be positive"),
    ],
)
def test_options_are_checked(connect, options, message):
    with pytest.raises(ValueError, match=message):
        connect(**options)
