# SPDX-License-Identifier: Apache-2.0
"""Saving, rollback protection and attestation, over the model."""

import pytest

from blindvisor.hdl.abi import HypervisorRegister, Result, VmState
from blindvisor.hdl.config import MachineConfig
from blindvisor.sw.hypervisor import errors
from blindvisor.sw.hypervisor.hypervisor import Hypervisor
from blindvisor.sw.image.format import Flags, Header
from blindvisor.sw.image.keys import machine_identity, report_key, save_number
from blindvisor.sw.image.pack import pack, rewrap, seal, unpack
from blindvisor.sw.image.report import read_report
from blindvisor.sw.model.link import ModelLink
from blindvisor.sw.model.loader import LAST_NUMBER
from blindvisor.sw.model.rv32 import AccessError
from blindvisor.sw.model.store import ROW_BITS, Row, Store

CONFIG = MachineConfig(
    name="test",
    width=3,
    height=2,
    vms=3,
    memory_bytes=1024,
    staging_words=16,
    store_rows=2,
    attest_channels=1,
)
SPIN = bytes.fromhex("6f000000")
IDENTITY = b"i" * 16
FLAGS = 0xFF80_0020
WINDOW = 0xFFC0_0000
ATTEST = CONFIG.channels - 1


class Power:
    """A machine that can be switched off and on; its store stays."""

    def __init__(self, root_key, *, rows=CONFIG.store_rows):
        self.root_key = root_key
        self.store = Store(rows)
        self.cycle()

    def cycle(self, *, epoch=True):
        count = self.store.power_on()
        self.link = ModelLink(
            CONFIG, root_key=self.root_key, store=self.store, epoch=count if epoch else None
        )
        self.hypervisor = Hypervisor(self.link)

    def load(self, image, *, at=None):
        header = Header.from_bytes(image)
        vm = self.hypervisor.create(width=header.width, height=header.height, at=at)
        vm.load(image)
        return vm

    def run(self, image, *, at=None):
        vm = self.load(image, at=at)
        vm.start()
        return vm

    def frozen(self, image, *, at=None):
        vm = self.run(image, at=at)
        vm.freeze()
        return vm

    def image(self, *, identity=IDENTITY, security_version=0, migrate=False):
        return pack(
            [SPIN] * 2,
            width=2,
            height=1,
            root_key=self.root_key,
            identity=identity,
            security_version=security_version,
            migrate=migrate,
        )


@pytest.fixture
def power(root_key):
    return Power(root_key)


def refused(error, power, image):
    with pytest.raises(error):
        power.load(image)
    assert power.hypervisor.vm_status(1).state is VmState.EMPTY


@pytest.mark.parametrize("migrate", [False, True])
def test_a_saved_image_says_what_was_loaded_and_holds_all_memory(power, root_key, migrate):
    image = power.image(security_version=7, migrate=migrate)
    vm = power.frozen(image)
    power.link.machine.cluster(1, 0).memory[200] = 0xABCD
    saved = unpack(vm.save(), root_key=root_key)
    header = saved.header
    assert header.flags == Flags.SAVED | (Flags.MIGRATE if migrate else Flags(0))
    assert (header.identity, header.security_version, header.generation) == (IDENTITY, 7, 1)
    assert (header.width, header.height, header.bytes_per_cluster) == (2, 1, 1024)
    assert header.nonce == save_number(1, 1)
    assert saved.measurement == unpack(image, root_key=root_key).measurement
    assert saved.memories[0] == SPIN.ljust(1024, b"\0")
    assert saved.memories[1][800:802] == b"\xcd\xab"


def test_a_saved_vm_goes_on_elsewhere_after_a_power_cycle(power):
    vm = power.frozen(power.image())
    power.link.machine.cluster(1, 0).memory[200] = 0xABCD
    saved = vm.save()
    power.cycle()
    vm = power.frozen(saved, at=(1, 1))
    clusters = [power.link.machine.cluster(x, 1) for x in (1, 2)]
    assert clusters[1].memory[200] == 0xABCD
    assert [cluster.load(0, FLAGS, 15) for cluster in clusters] == [1, 1]
    again = Header.from_bytes(vm.save())
    assert (again.generation, again.nonce) == (2, save_number(2, 1))
    vm.destroy()
    power.run(power.image())
    assert power.link.machine.cluster(0, 0).load(0, FLAGS, 15) == 0


def test_earlier_saved_states_are_refused_from_a_save_on(power):
    vm = power.frozen(power.image())
    first = vm.save()
    second = vm.save()
    vm.destroy()
    refused(errors.ImageOldRefused, power, first)
    power.load(second).destroy()
    power.load(second).destroy()  # the latest one as often as wanted
    power.cycle()
    refused(errors.ImageOldRefused, power, first)


def test_a_packed_image_can_start_afresh_and_counts_on(power):
    vm = power.frozen(power.image())
    old = vm.save()
    vm.destroy()
    vm = power.frozen(power.image())
    assert Header.from_bytes(vm.save()).generation == 2
    vm.destroy()
    refused(errors.ImageOldRefused, power, old)


def test_older_versions_are_refused_once_a_newer_one_was_accepted(power):
    vm = power.frozen(power.image(security_version=1))
    saved = vm.save()
    vm.destroy()
    power.load(power.image(security_version=3)).destroy()
    refused(errors.ImageOldRefused, power, power.image(security_version=2))
    refused(errors.ImageOldRefused, power, saved)
    power.cycle()
    refused(errors.ImageOldRefused, power, power.image(security_version=2))
    power.load(power.image(security_version=3)).destroy()
    power.load(power.image(identity=b"j" * 16)).destroy()


def test_an_image_with_a_wrong_tag_leaves_no_trace(power):
    image = power.image(security_version=3)
    refused(errors.ImageTagRefused, power, image[:-1] + bytes([image[-1] ^ 1]))
    assert power.store.rows == (None, None)
    power.load(power.image(security_version=2))


def test_without_a_row_left_new_identities_are_refused(power):
    for letter in (b"a", b"b"):
        power.load(power.image(identity=letter * 16, security_version=1)).destroy()
    refused(errors.StoreFull, power, power.image(identity=b"c" * 16, security_version=1))
    power.load(power.image(identity=b"a" * 16, security_version=1)).destroy()


def test_an_image_of_version_0_that_was_never_saved_takes_no_row(power):
    for number in range(4):
        power.load(power.image(identity=bytes([number]) * 16)).destroy()
    assert power.store.rows == (None, None)


def test_a_save_needs_its_row_and_a_generation_left(power):
    vm = power.frozen(power.image())
    place = 0
    for number in range(2):
        power.store.write(number, Row(identity=bytes([number]) * 16, version=1, generation=0))
    with pytest.raises(errors.StoreFull):
        vm.save()
    power.store.write(place, Row(identity=IDENTITY, version=0, generation=LAST_NUMBER))
    with pytest.raises(errors.StoreFull):
        vm.save()
    power.store.write(place, Row(identity=IDENTITY, version=0, generation=LAST_NUMBER - 1))
    vm.destroy()
    vm = power.frozen(power.image())
    assert Header.from_bytes(vm.save()).nonce == save_number(1, 3)


def test_an_older_state_does_not_become_the_newest(power):
    one, other = (power.frozen(power.image()) for _ in range(2))
    one.save()
    with pytest.raises(errors.ImageOldRefused):
        other.save()
    assert Header.from_bytes(one.save()).generation == 2
    one.destroy()
    newer = power.load(power.image(security_version=1))
    with pytest.raises(errors.ImageOldRefused):
        other.save()
    newer.destroy()


def test_without_an_epoch_nothing_is_saved(power):
    power.cycle(epoch=False)
    vm = power.frozen(power.image())
    with pytest.raises(errors.NoNonce):
        vm.save()
    assert vm.status().state is VmState.FROZEN
    vm.resume()


def test_after_the_last_save_number_nothing_is_saved(power):
    vm = power.frozen(power.image())
    numbers = power.link._monitor._numbers
    numbers.count = LAST_NUMBER - 1
    assert Header.from_bytes(vm.save()).nonce == save_number(1, LAST_NUMBER)
    for _ in range(2):
        with pytest.raises(errors.NoNonce):
            vm.save()


@pytest.mark.parametrize("words", [0, 1, 40, 40 + 2 * 256 - 1])
def test_an_aborted_save_uses_its_number_up_and_nothing_else(power, words):
    vm = power.frozen(power.image())
    link = power.link
    link.write(HypervisorRegister.ARG0.value, vm.number)
    link.write(HypervisorRegister.COMMAND.value, 6)
    assert link.read(HypervisorRegister.STATUS.value) & 0b1101 == 0b1001
    assert len(link.read_words(HypervisorRegister.SAVED.value, words)) == words
    link.write(HypervisorRegister.ABORT.value, 1)
    assert link.read(HypervisorRegister.RESULT.value) == Result.ABORTED.value
    assert link.read(HypervisorRegister.SAVED_WORDS.value) == 0
    assert power.store.rows == (None, None)
    header = Header.from_bytes(vm.save())
    assert (header.nonce, header.generation) == (save_number(1, 2), 1)


def test_the_row_is_written_before_the_tag_is_given_out(power):
    vm = power.frozen(power.image())
    link = power.link
    link.write(HypervisorRegister.ARG0.value, vm.number)
    link.write(HypervisorRegister.COMMAND.value, 6)
    contents = (160 + 2 * 1024) // 4
    link.read_words(HypervisorRegister.SAVED.value, contents)
    assert link.read(HypervisorRegister.SAVED_WORDS.value) == 4
    assert power.store.rows[0] == Row(identity=IDENTITY, version=0, generation=1)


def test_another_machine_takes_a_saved_image_only_after_rewrapping(power, root_key):
    other = Power(root_key[::-1])
    saved = power.frozen(power.image(migrate=True)).save()
    refused(errors.ImageTagRefused, other, saved)
    moved = rewrap(saved, root_key=root_key, new_root_key=other.root_key)
    vm = other.frozen(moved)
    assert other.link.machine.cluster(0, 0).resumed
    header = Header.from_bytes(vm.save())
    assert header.flags == Flags.SAVED | Flags.MIGRATE
    assert header.generation == 2


def test_a_migrated_image_must_have_its_key_wrapped(power, root_key):
    saved = bytearray(power.frozen(power.image(migrate=True)).save())
    saved[10] |= Flags.MIGRATED
    with pytest.raises(errors.ImageKeyRefused):
        power.load(bytes(saved))


def test_what_another_machine_sealed_is_refused_and_changes_nothing(power, root_key):
    vm = power.frozen(power.image())
    foreign = seal(
        [b"x" * 1024] * 2,
        width=2,
        height=1,
        root_key=root_key[::-1],
        number=save_number(1, 1),
        flags=Flags(0),
        identity=IDENTITY,
        security_version=0,
        generation=5,
        measurement=bytes(32),
    )
    other = power.hypervisor.create(width=2, height=1)
    with pytest.raises(errors.ImageTagRefused):
        other.load(foreign)
    assert Header.from_bytes(vm.save()).generation == 1


class Guest:
    """Reads and writes the attestation channel from a cluster of the VM."""

    def __init__(self, power, vm, guest_channel=2):
        self.channel = power.hypervisor.channel_grant(ATTEST, vm.number, guest_channel)
        place = vm.status()
        self.cluster = power.link.machine.cluster(place.x, place.y)
        self.page = WINDOW + 0x1_0000 * guest_channel

    @property
    def status(self):
        return self.cluster.load(0, self.page, 15)

    def send(self, nonce):
        for at in range(0, len(nonce), 4):
            self.cluster.store(0, self.page + 4, 15, int.from_bytes(nonce[at : at + 4], "little"))

    def receive(self, count=36):
        words = [self.cluster.load(0, self.page + 4, 15) for _ in range(count)]
        return b"".join(word.to_bytes(4, "little") for word in words)


@pytest.mark.parametrize("resumed", [False, True])
def test_a_guest_gets_the_report_of_its_own_vm(power, root_key, resumed):
    image = power.image(security_version=4)
    vm = power.run(image)
    if resumed:
        vm.freeze()
        saved = vm.save()
        vm.destroy()
        vm = power.run(saved, at=(1, 1))
    power.run(power.image(identity=b"j" * 16))
    guest = Guest(power, vm)
    assert guest.status == 2 << 8 | 2
    for nonce in (b"n" * 32, bytes(range(32))):
        guest.send(nonce)
        assert guest.status == 2 << 8 | 1
        with pytest.raises(AccessError):
            guest.send(b"more")
        report = read_report(guest.receive(), key=report_key(root_key), nonce=nonce)
        assert report.identity == IDENTITY
        assert report.machine == machine_identity(root_key)
        assert report.measurement == unpack(image, root_key=root_key).measurement
        assert (report.width, report.height, report.security_version) == (2, 1, 4)
        assert (report.flags, report.generation) == ((1, 1) if resumed else (0, 0))
        assert report.bytes_per_cluster == (1024 if resumed else 16)
        assert guest.status == 2 << 8 | 2
        with pytest.raises(AccessError):
            guest.receive(1)


def test_a_report_waits_for_the_loader(power):
    guest = Guest(power, power.run(power.image()))
    other = power.frozen(power.image())
    power.link.write(HypervisorRegister.ARG0.value, other.number)
    power.link.write(HypervisorRegister.COMMAND.value, 6)
    guest.send(bytes(32))
    assert guest.status == 2 << 8
    power.link.write(HypervisorRegister.ABORT.value, 1)
    assert guest.status == 2 << 8 | 1


def test_a_change_of_the_owner_drops_nonce_and_report(power):
    vm = power.run(power.image())
    guest = Guest(power, vm)
    guest.send(bytes(32))
    assert guest.status & 1
    guest.channel.revoke()
    guest = Guest(power, vm)
    assert guest.status == 2 << 8 | 2
    guest.send(bytes(16))
    guest.channel.revoke()
    guest = Guest(power, vm)
    guest.send(bytes(28))
    assert guest.status == 2 << 8 | 2
    guest.send(bytes(4))
    assert guest.status == 2 << 8 | 1


def test_the_hypervisor_has_no_end_of_the_attestation_channel(power):
    vm = power.run(power.image())
    vm.grant(ATTEST, 0)
    with pytest.raises(errors.HypervisorError, match=f"from 4 to {ATTEST - 1}, not {ATTEST}"):
        power.hypervisor.mailbox_receive(ATTEST)


def test_rows_are_on_the_port_what_the_gateware_s_layout_says():
    from blindvisor.hdl.loader.store import STORE_ROW

    row = Row(identity=bytes(range(16)), version=0x01020304, generation=0xFFFFFFFE)
    bits = STORE_ROW.const(
        {
            "identity": int.from_bytes(row.identity, "little"),
            "version": row.version,
            "generation": row.generation,
            "valid": 1,
        }
    ).as_bits()
    assert row.as_bits() == bits
    assert Row.from_bits(bits) == row
    assert Row.from_bits(0) is None
    assert STORE_ROW.size == ROW_BITS
