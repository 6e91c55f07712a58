# SPDX-License-Identifier: Apache-2.0
"""The guest that is saved and goes on elsewhere, and that lets its machine report on it."""

import re

import pytest

from blindvisor.hdl.config import MachineConfig
from blindvisor.sw.guests.build import BIN
from blindvisor.sw.hypervisor.hypervisor import Hypervisor
from blindvisor.sw.image.elf import read_guest
from blindvisor.sw.image.keys import report_key
from blindvisor.sw.image.pack import pack, unpack
from blindvisor.sw.image.report import read_report
from blindvisor.sw.model.link import ModelLink
from blindvisor.sw.model.store import Store

TTY, MAILBOX = 0, 1  # physical channels
SUSPEND, ATTEST, END = 1, 2, 3


class Host:
    """A machine with one VM that runs the counter."""

    def __init__(self, store, root_key, image, *, cores, size, at=(0, 0), guest_channels=3):
        config = MachineConfig(
            name="test",
            width=4,
            height=2,
            cores=cores,
            tty_channels=1,
            mailbox_channels=1,
            attest_channels=1,
        )
        self.link = ModelLink(config, root_key=root_key, store=store, epoch=store.power_on())
        self.hypervisor = Hypervisor(self.link)
        self.vm = self.hypervisor.create(width=size[0], height=size[1], at=at)
        for channel in range(guest_channels):
            self.vm.grant(channel, channel)
        self.vm.load(image)
        self.vm.start()
        self.text = ""

    def run_until(self, pattern, cycles=3_000_000):
        for _ in range(cycles // 2048):
            self.link.advance(2048)
            self.text += self.link.tty_read(TTY).decode()
            if found := re.search(pattern, self.text):
                return found
        raise AssertionError(f"no {pattern!r} within {cycles} cycles, but: {self.text!r}")

    def send(self, *words):
        for word in words:
            while not self.hypervisor.mailbox_send(MAILBOX, word):
                self.link.advance(1000)

    def receive(self, cycles=3_000_000):
        for _ in range(cycles // 1024):
            if (word := self.hypervisor.mailbox_receive(MAILBOX)) is not None:
                return word
            self.link.advance(1024)
        raise AssertionError(f"no word within {cycles} cycles, but: {self.text!r}")

    def suspend(self):
        self.send(SUSPEND)
        count = self.receive()
        self.text += self.link.tty_read(TTY).decode()
        return count

    def save(self):
        self.vm.freeze()
        return self.vm.save()

    def counted(self):
        return [int(n) for n in re.findall(r"^count (\d+)$", self.text, re.M)]


SIZES = [((1, 1), 1), ((2, 2), 1), ((2, 1), 3)]


@pytest.fixture
def start(root_key):
    store = Store(16)

    def start(image=None, *, size=(1, 1), cores=1, guest="counter", **options):
        if image is None:
            memories = read_guest(
                BIN / f"{guest}.elf", width=size[0], height=size[1], memory_bytes=16384
            )
            image = pack(memories, width=size[0], height=size[1], root_key=root_key)
        return image, Host(store, root_key, image, cores=cores, size=size, **options)

    return start


@pytest.mark.parametrize(("size", "cores"), SIZES)
def test_it_goes_on_with_the_next_number_in_another_machine_at_another_place(start, size, cores):
    _, host = start(size=size, cores=cores)
    host.run_until("count 5\n")
    for place in ((2, 0), (1, 0), (0, 0)):
        count = host.suspend()
        counted = host.counted()
        assert counted == [*range(counted[0], count + 1)]
        saved = host.save()
        _, host = start(saved, size=size, cores=cores, at=place)
        host.run_until(f"count {count + 6}\n")
        lines = host.text.splitlines()
        assert lines[:2] == ["counter: resumed", f"count {count + 1}"]
        assert "WRONG" not in host.text
    host.send(END)
    host.run_until(r"\[exit 0\]")


@pytest.mark.parametrize(("size", "cores"), SIZES)
def test_it_goes_on_where_it_is_when_told_so(start, size, cores):
    _, host = start(size=size, cores=cores)
    host.run_until("count 3\n")
    for _ in range(2):
        count = host.suspend()
        host.save()
        host.vm.resume()
        host.send(0)
        host.run_until(f"count {count + 3}\n")
    assert host.counted() == [*range(1, len(host.counted()) + 1)]
    assert "resumed" not in host.text


def test_one_saved_image_can_be_restored_more_than_once(start):
    _, host = start(size=(2, 1))
    count = host.suspend()
    saved = host.save()
    for _ in range(2):
        _, host = start(saved, size=(2, 1))
        host.run_until(f"count {count + 2}\n")
        assert host.counted()[0] == count + 1


@pytest.mark.parametrize("guest", ["counter", "victim"])
def test_what_was_saved_without_having_been_suspended_says_so(start, guest):
    _, host = start(guest=guest)
    host.link.advance(100_000)
    _, host = start(host.save())
    host.run_until(r"\[saved without having been suspended\]\n\[exit 254\]\n")


def test_after_going_on_it_must_suspend_itself_again(start):
    _, host = start(size=(2, 1))
    count = host.suspend()
    host.send(0)
    host.run_until(f"count {count + 2}\n")
    _, host = start(host.save(), size=(2, 1))
    host.run_until(r"\[exit 254\]")


@pytest.mark.parametrize("resumed", [False, True])
def test_it_hands_on_its_machine_s_report(start, root_key, resumed):
    image, host = start(size=(2, 1))
    if resumed:
        host.suspend()
        _, host = start(host.save(), size=(2, 1), at=(1, 1))
    host.run_until(r"count \d+\n")
    nonce = bytes(range(32))
    host.send(ATTEST, *(int.from_bytes(nonce[at : at + 4], "little") for at in range(0, 32, 4)))
    data = b"".join(host.receive().to_bytes(4, "little") for _ in range(36))
    measurement = unpack(image, root_key=root_key).measurement
    report = read_report(data, key=report_key(root_key), nonce=nonce, measurement=measurement)
    assert report.generation == resumed
    count = host.counted()[-1]
    host.run_until(f"count {count + 3}\n")  # and it counts on


def test_without_an_attestation_channel_it_sends_zeros(start):
    _, host = start(guest_channels=2)
    host.send(ATTEST, *range(8))
    assert [host.receive() for _ in range(36)] == [0] * 36


def test_without_a_mailbox_it_says_so(start):
    _, host = start(guest_channels=1)
    host.run_until(r"counter: no guest channel 1\n\[exit 1\]")
