# SPDX-License-Identifier: Apache-2.0
"""Typed calls, errors, loads and channels, over the model."""

import io

import pytest

from blindvisor.hdl.abi import (
    ChannelKind,
    ClusterState,
    HypervisorRegister,
    Result,
    VmState,
)
from blindvisor.hdl.config import MachineConfig
from blindvisor.sw.hypervisor import errors
from blindvisor.sw.hypervisor.hypervisor import Hypervisor
from blindvisor.sw.hypervisor.link import BusError, LinkTimeout
from blindvisor.sw.image.pack import pack
from blindvisor.sw.model.link import ModelLink

CONFIG = MachineConfig(name="test", width=3, height=2, vms=3, staging_words=16)
SPIN = bytes.fromhex("6f000000")


@pytest.fixture
def hypervisor(root_key):
    return Hypervisor(ModelLink(CONFIG, root_key=root_key))


@pytest.fixture
def image(root_key):
    return pack([SPIN] * 2, width=2, height=1, root_key=root_key)


def test_every_result_code_but_none_and_ok_has_its_own_class():
    assert errors.ERRORS.keys() == {*Result} - {Result.NONE, Result.OK}
    assert len({*errors.ERRORS.values()}) == len(errors.ERRORS)


def test_life_of_a_vm(hypervisor, image):
    vm = hypervisor.create(width=2, height=1)
    assert vm.status().state is VmState.CREATED
    taken = []
    vm.load(image, progress=taken.append)
    assert taken == [64, 128, 192, 208]  # staging holds 64 bytes
    assert hypervisor.load_status() is Result.OK
    assert vm.status().state is VmState.READY
    vm.start()
    assert hypervisor.cluster_status(1).state is ClusterState.RUNNING
    assert hypervisor.cluster_status(2).state is ClusterState.FREE
    vm.freeze()
    assert vm.status().state is VmState.FROZEN
    given = []
    saved = vm.save(progress=given.append)
    assert len(saved) == given[-1] == 160 + 2 * CONFIG.memory_bytes + 16
    assert given[:2] == [64, 128]
    assert vm.status().state is VmState.FROZEN
    vm.resume()
    assert vm.status().state is VmState.RUNNING
    vm.destroy()
    assert vm.status() == hypervisor.vm_status(1)
    assert vm.status().state is VmState.EMPTY


def test_vms_are_placed_side_by_side_until_nothing_fits(hypervisor):
    first, second = (hypervisor.create(width=2, height=1) for _ in "ab")
    assert (first.status().x, first.status().y) == (0, 0)
    assert (second.status().x, second.status().y) == (0, 1)
    with pytest.raises(errors.NoRoom, match=r"2 of 6 clusters are free .*##\. ##\."):
        hypervisor.create(width=2, height=1)
    assert hypervisor.create(width=1, height=2).number == 3
    with pytest.raises(errors.NoRoom, match="1 x 1 clusters: 0 of 6"):
        hypervisor.create(width=1, height=1)


def test_slots_can_be_all_in_use(hypervisor):
    for _ in range(3):
        hypervisor.create(width=1, height=1)
    with pytest.raises(errors.NoRoom, match="all 3 are in use"):
        hypervisor.create(width=1, height=1)


@pytest.mark.parametrize(
    ("act", "error", "message"),
    [
        (
            lambda hv: hv.vm_create(1, x=2, y=0, width=2, height=1),
            errors.BadRectangle,
            r"vm_create\(vm=1, x=2, y=0, width=2, height=1\) failed with BAD_RECTANGLE",
        ),
        (lambda hv: hv.vm_create(1, x=0, y=0, width=0, height=1), errors.BadRectangle, "width=0"),
        (lambda hv: hv.vm_create(0, x=0, y=0, width=1, height=1), errors.BadVm, "from 1 to"),
        (lambda hv: hv.vm_save(0), errors.BadVm, r"vm_save\(vm=0\) failed with BAD_VM"),
        (lambda hv: hv.vm_save(1), errors.WrongState, r"vm_save\(vm=1\)"),
        (lambda hv: hv.vm_start(4), errors.BadVm, r"vm_start\(vm=4\)"),
        (lambda hv: hv.vm_start(1), errors.WrongState, r"vm_start\(vm=1\)"),
        (lambda hv: hv.vm_load(1, b"x" * 144), errors.WrongState, r"vm_load\(vm=1, length=144\)"),
        (lambda hv: hv.channel_revoke(6), errors.BadChannel, r"channel_revoke\(channel=6\)"),
        (lambda hv: hv.channel_revoke(0), errors.WrongState, "channel=0"),
        (lambda hv: hv.fault_clear(6), errors.BadArgument, r"fault_clear\(cluster=6\)"),
        (lambda hv: hv.cluster_status(6), errors.BadArgument, r"status\(kind=1, index=6\)"),
        (lambda hv: hv.call(0x55, 1), errors.UnknownCall, r"call 85\(1\) failed"),
        (lambda hv: hv.vm_start(-1), errors.HypervisorError, "32-bit words, not -1"),
        (lambda hv: hv.vm_start(1 << 32), errors.HypervisorError, "32-bit words"),
        (lambda hv: hv.mailbox_receive(3), errors.HypervisorError, "from 4 to 5, not 3"),
    ],
)
def test_failed_call_raises_its_class_and_names_the_arguments(hypervisor, act, error, message):
    with pytest.raises(error, match=message) as caught:
        act(hypervisor)
    assert type(caught.value) is error
    assert hypervisor.place(3, 2) == (0, 0)


def test_create_over_a_vm_is_refused(hypervisor):
    hypervisor.create(width=2, height=2)
    with pytest.raises(errors.Occupied):
        hypervisor.vm_create(2, x=1, y=1, width=2, height=1)


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        (lambda image: b"X" + image[1:], errors.ImageHeaderRefused),
        (lambda image: image[:-16], errors.ImageSizeRefused),
        (lambda image: image + b"x", errors.ImageSizeRefused),
        (lambda image: image[:70] + bytes([image[70] ^ 1]) + image[71:], errors.ImageKeyRefused),
        (lambda image: image[:-1] + bytes([image[-1] ^ 1]), errors.ImageTagRefused),
    ],
)
def test_bad_image_raises_its_class_and_destroys_the_vm(hypervisor, image, spoil, error):
    vm = hypervisor.create(width=2, height=1)
    with pytest.raises(error):
        vm.load(spoil(image))
    assert vm.status().state is VmState.EMPTY
    assert hypervisor.load_status() is error.result
    assert hypervisor.place(3, 2) == (0, 0)


def test_image_can_come_from_a_file_in_pieces(hypervisor, image, tmp_path):
    class Dribble(io.RawIOBase):
        """A pipe that gives five bytes at a time and cannot seek."""

        def __init__(self):
            self.source = io.BytesIO(image)

        def readable(self):
            return True

        def read(self, count=-1):
            return self.source.read(min(5, count))

    hypervisor.create(width=2, height=1).load(Dribble(), length=len(image))
    path = tmp_path / "image"
    path.write_bytes(b"before" + image)
    with path.open("rb") as file:
        file.seek(6)
        hypervisor.create(width=2, height=1).load(file)
    assert hypervisor.vm_status(2).state is VmState.READY


def test_truncated_image_is_aborted(hypervisor, image):
    vm = hypervisor.create(width=2, height=1)
    with pytest.raises(errors.ImageTruncated, match="ends after 100 of 208 bytes"):
        vm.load(image[:100], length=len(image))
    assert hypervisor.load_status() is Result.ABORTED
    assert vm.status().state is VmState.EMPTY
    hypervisor.create(width=2, height=1).load(image)


def test_interrupted_load_is_aborted(hypervisor, image):
    def interrupt(_):
        raise KeyboardInterrupt

    vm = hypervisor.create(width=2, height=1)
    with pytest.raises(KeyboardInterrupt):
        vm.load(image, progress=interrupt)
    assert hypervisor.load_status() is Result.ABORTED
    assert vm.status().state is VmState.EMPTY


def test_interrupted_save_is_aborted_and_leaves_the_vm(hypervisor, image):
    def interrupt(_):
        raise KeyboardInterrupt

    vm = hypervisor.create(width=2, height=1)
    vm.load(image)
    vm.start()
    vm.freeze()
    with pytest.raises(KeyboardInterrupt):
        vm.save(progress=interrupt)
    assert vm.status().state is VmState.FROZEN
    assert hypervisor.save(1)[0] is Result.OK


def test_call_during_a_load_is_refused_and_changes_nothing(hypervisor, image):
    vm = hypervisor.create(width=2, height=1)
    seen = []

    def meddle(_):
        with pytest.raises(errors.MonitorBusy, match=r"vm_start\(vm=1\) failed with BUSY"):
            vm.start()
        seen.append(True)

    vm.load(image, progress=lambda n: n < len(image) and meddle(n))
    assert seen == [True, True, True]
    assert vm.status().state is VmState.READY


def test_channel_is_revoked_at_the_end_of_its_block(hypervisor):
    vm = hypervisor.create(width=1, height=1)
    with vm.grant(0, 3) as channel:
        status = channel.status()
        assert (status.owner, status.guest_channel, status.kind) == (1, 3, ChannelKind.TTY)
        with pytest.raises(errors.ChannelTaken):
            vm.grant(0, 2)
        with pytest.raises(errors.GuestChannelTaken):
            vm.grant(1, 3)
        with pytest.raises(errors.BadGuestChannel):
            vm.grant(1, 4)
    assert channel.status().owner == 0


def test_channel_whose_vm_is_gone_is_left_alone(hypervisor):
    vm = hypervisor.create(width=1, height=1)
    with vm.grant(0, 3) as channel:
        vm.destroy()
        assert channel.status().owner == 0


def test_mailbox_takes_words_until_it_is_full(hypervisor):
    channel = hypervisor.create(width=1, height=1).grant(4, 0)
    sent = 0
    while channel.send(sent):
        sent += 1
    assert sent == CONFIG.channel_depth
    assert channel.receive() is None
    with pytest.raises(BusError, match="write to address 0x104"):
        hypervisor.link.write(HypervisorRegister.MAILBOX.value + 4, 1)


def test_machine_that_never_gets_ready_is_reported(root_key):
    class Busy(ModelLink):
        def read(self, address):
            return 1 if address == HypervisorRegister.STATUS.value else super().read(address)

    with pytest.raises(LinkTimeout, match="still busy 1000 cycles"):
        Hypervisor(Busy(CONFIG, root_key=root_key), timeout=1000)


def test_timeout_must_be_positive(root_key):
    with pytest.raises(ValueError, match="at least 1 cycle, not 0"):
        Hypervisor(ModelLink(CONFIG, root_key=root_key), timeout=0)
