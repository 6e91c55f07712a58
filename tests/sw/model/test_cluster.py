# SPDX-License-Identifier: Apache-2.0
"""What a guest can reach: memory, registers and channels of its own VM, nothing else."""

import pytest

from blindvisor.hdl.abi import Fault
from blindvisor.hdl.config import MachineConfig
from blindvisor.sw.hypervisor.hypervisor import Hypervisor
from blindvisor.sw.image.pack import pack
from blindvisor.sw.model.link import ModelLink
from blindvisor.sw.model.rv32 import AccessError

CONFIG = MachineConfig(
    name="test", width=4, height=3, cores=2, memory_bytes=1024, channel_depth=4, staging_words=64
)
OWN = 0xFF00_0000
REGISTERS = OWN + 0x80_0000
CORES = REGISTERS + 0x200
WINDOW = OWN + 0xC0_0000
SPIN = bytes.fromhex("6f000000")


class Guest:
    """A running 2 x 2 VM at (1, 1), used from its guest cluster (1, 0)."""

    def __init__(self, root_key):
        self.link = ModelLink(CONFIG, root_key=root_key)
        self.hypervisor = Hypervisor(self.link)
        self.vm = self.hypervisor.create(width=2, height=2, at=(1, 1))
        self.vm.load(pack([SPIN] * 4, width=2, height=2, root_key=root_key))
        self.vm.start()
        self.cluster = self.link.machine.cluster(2, 1)

    def read(self, address, *, core=0, select=15):
        return self.cluster.load(core, address, select)

    def write(self, address, value, *, core=0, select=15):
        self.cluster.store(core, address, select, value)

    def faults(self):
        status = self.hypervisor.cluster_status(1 * CONFIG.width + 2)
        return status.faults, status.first_fault

    def denied(self, address, fault=None, **options):
        """Reading and writing there are errors; ``fault``: and are counted as that kind."""
        for act in (
            lambda: self.read(address, **options),
            lambda: self.write(address, 1, **options),
        ):
            count = self.faults()[0]
            seen = self.read(REGISTERS + 0x10)
            with pytest.raises(AccessError):
                act()
            assert self.faults()[0] == count + (fault is not None)
            assert self.read(REGISTERS + 0x10) == seen + (fault is not None)
            if fault is not None:
                assert self.read(REGISTERS + 0x14) == address
        if fault is not None:
            assert self.faults()[1] is fault


@pytest.fixture
def guest(root_key):
    return Guest(root_key)


def test_memory_has_bytes_and_two_names(guest):
    guest.write(OWN + 0x100, 0x1122_3344)
    guest.write(OWN + 0x100, 0xAABB_CCDD, select=0b0101)
    assert guest.read(OWN + 0x100) == 0x11BB_33DD
    assert guest.read(0x1000_0100) == 0x11BB_33DD
    assert guest.cluster.fetch(0x1000_0000) == guest.cluster.fetch(OWN) == 0x6F


def test_other_clusters_of_the_vm_share_memory_and_registers(guest):
    guest.write(0x0100_0040, 99)
    assert guest.link.machine.cluster(1, 2).memory[0x10] == 99
    assert guest.read(0x0100_0040) == 99
    assert guest.read(0x0180_0000) == 0 | 1 << 8
    guest.write(0x0180_0228, 5)
    assert guest.link.machine.cluster(1, 2).interrupts(1) == 1 << 3


@pytest.mark.parametrize("cluster", [0x20, 0x02, 0x22, 0xF0, 0x0F, 0xFE, 0xEF])
@pytest.mark.parametrize("offset", [0, 0x80_0000, 0xC0_0000])
def test_outside_the_rectangle_is_denied_and_counted(guest, cluster, offset):
    guest.denied(cluster << 24 | offset, Fault.OUTSIDE)


@pytest.mark.parametrize("cluster", [0xFF, 0x10, 0x00, 0x11])
@pytest.mark.parametrize("offset", [0x400, 0x7F_FFFC, 0x80_1000, 0xBF_FFFC, 0x80_0024, 0x80_0240])
def test_nothing_lies_between(guest, cluster, offset):
    guest.denied(cluster << 24 | offset)


@pytest.mark.parametrize("select", [1, 3, 0b1100, 0b1110])
@pytest.mark.parametrize("address", [REGISTERS, CORES + 0x14, 0x0080_0000])
def test_registers_are_whole_words(guest, address, select):
    guest.denied(address, select=select)


@pytest.mark.parametrize("offset", [0x400, 0x80_0000, 0xC0_0000])
def test_only_own_memory_can_be_fetched(guest, offset):
    for address in (OWN + offset, 0x1000_0000 + offset, 0, 0x0000_0100, 0x2000_0000):
        with pytest.raises(AccessError):
            guest.cluster.fetch(address)
    assert guest.faults() == (0, Fault.NONE)


def test_identity(guest):
    values = [guest.read(REGISTERS + 4 * n, core=1) for n in range(4)]
    assert values == [1, 2 | 2 << 8, 1 | 2 << 8, 1024]
    assert guest.read(0x0080_0008, core=1) == 2 << 8
    for n in range(5):
        with pytest.raises(AccessError):
            guest.write(REGISTERS + 4 * n, 0)


def test_fault_registers_are_cleared_by_a_write_and_the_record_by_the_hypervisor(guest):
    for _ in range(3):
        with pytest.raises(AccessError):
            guest.read(0x5000_0004)
    assert guest.read(REGISTERS + 0x10) == 3
    guest.write(REGISTERS + 0x14, 77)
    assert [guest.read(REGISTERS + 0x10), guest.read(REGISTERS + 0x14)] == [0, 0]
    assert guest.faults() == (3, Fault.OUTSIDE)
    guest.hypervisor.fault_clear(6)
    assert guest.faults() == (0, Fault.NONE)


def test_counts_saturate(guest):
    guest.cluster.fault_count = guest.cluster._faults = 0xFFFF
    with pytest.raises(AccessError):
        guest.read(0x5000_0000)
    assert guest.faults()[0] == guest.read(REGISTERS + 0x10) == 0xFFFF


def test_time_passes_only_while_running(guest):
    guest.link.advance(3200)
    assert guest.read(REGISTERS + 0x18) == 3200
    guest.vm.freeze()
    guest.link.advance(3200)
    assert guest.read(REGISTERS + 0x18) == 3200
    guest.cluster.time = 5 << 32 | 7
    assert [guest.read(REGISTERS + 0x18), guest.read(REGISTERS + 0x1C)] == [7, 5]


def test_timer_compares_64_bits(guest):
    assert [guest.read(CORES), guest.read(CORES + 4)] == [0xFFFF_FFFF] * 2
    guest.write(CORES, 64)
    guest.link.advance(640)
    assert guest.cluster.interrupts(0) == 0
    guest.write(CORES + 4, 0)
    assert guest.cluster.interrupts(0) == 1 << 7
    assert guest.cluster.interrupts(1) == 0
    guest.write(CORES + 4, 1)
    assert guest.cluster.interrupts(0) == 0


def test_mailbox_of_a_core(guest):
    mailbox = CORES + 0x28
    assert guest.read(mailbox) == 0
    guest.write(mailbox, 5)
    guest.write(mailbox, 6)
    assert guest.cluster.interrupts(1) == 1 << 3
    assert guest.read(mailbox + 4) == 1
    assert guest.read(mailbox) == 6
    assert guest.cluster.interrupts(1) == 0
    assert [guest.read(mailbox + 4), guest.read(mailbox)] == [0, 0]
    with pytest.raises(AccessError):
        guest.write(mailbox + 4, 1)


def test_channel_without_a_grant_is_denied(guest):
    for page in (0, 3, 4, 15, 16, 63):
        guest.denied(WINDOW + 0x1_0000 * page, Fault.CHANNEL)
    guest.denied(WINDOW, Fault.CHANNEL, select=1)


def test_window_of_another_cluster_is_nothing(guest):
    guest.vm.grant(0, 0)
    guest.denied(0x00C0_0000)


def test_tty_carries_bytes_both_ways(guest):
    with guest.vm.grant(1, 2) as channel:
        page = WINDOW + 0x2_0000
        assert guest.read(page) == 2
        channel.write(b"type ahead")
        assert guest.read(page) == 3
        guest.write(page + 4, 0xFFFF_FF41)
        typed = bytes(guest.read(page + 4) for _ in range(10))
        assert (channel.read(), channel.read(), typed) == (b"A", b"", b"type ahead")
        guest.denied(page + 0xC, Fault.REFUSED)
        guest.denied(page + 0x10)
        guest.denied(page + 4, select=1)
        with pytest.raises(AccessError):
            guest.read(page + 4)
    guest.hypervisor.fault_clear(6)
    guest.denied(page, Fault.CHANNEL)


def test_mailbox_channel_and_its_interrupt(guest):
    channel = guest.vm.grant(4, 0)
    assert guest.read(WINDOW) == 2 | 1 << 8
    guest.write(CORES + 0x14, 0xFFFF_FFFF)
    assert guest.read(CORES + 0x14) == 0xF
    guest.write(WINDOW + 8, 0xFFFF_FFFD)
    assert guest.read(WINDOW + 8) == 1
    assert guest.cluster.interrupts(0) == 0
    assert channel.send(0xDEAD_BEEF)
    assert guest.read(CORES + 0x10) == 1
    assert guest.cluster.interrupts(0) == 1 << 11
    assert guest.cluster.interrupts(1) == 0
    assert guest.read(WINDOW + 4) == 0xDEAD_BEEF
    assert guest.cluster.interrupts(0) == 0
    for n in range(4):
        guest.write(WINDOW + 4, n)
    assert guest.read(WINDOW) == 1 << 8
    with pytest.raises(AccessError):
        guest.write(WINDOW + 4, 9)
    assert [channel.receive() for _ in range(5)] == [0, 1, 2, 3, None]


def test_change_of_owner_clears_a_channel(guest):
    channel = guest.vm.grant(4, 0)
    channel.send(1)
    guest.write(WINDOW + 4, 2)
    guest.write(WINDOW + 8, 3)
    channel.revoke()
    assert channel.receive() is None
    other = guest.vm.grant(4, 1)
    assert [guest.read(WINDOW + 0x1_0000), guest.read(WINDOW + 0x1_0008)] == [2 | 1 << 8, 0]
    assert other.receive() is None


def test_guard_denies_whoever_does_not_own_the_channel(guest):
    guest.vm.grant(0, 0)
    guest.link.machine.channels[0].owner = 7  # behind the SMMU's back
    guest.denied(WINDOW, Fault.REFUSED)
    assert guest.hypervisor.channel_status(0).denied == 2


def test_destroyed_vm_leaves_nothing_but_the_fault_record(guest):
    guest.write(OWN + 0x100, 1)
    guest.write(CORES + 0x8, 1)
    guest.write(CORES + 0x14, 1)
    with pytest.raises(AccessError):
        guest.read(0x5000_0000)
    guest.link.advance(100)
    guest.vm.destroy()
    cluster = guest.cluster
    assert not any(cluster.memory)
    assert (cluster.time, cluster.own, cluster.owner) == (0, 0, 0)
    assert [cluster.interrupts(n) for n in range(2)] == [0, 0]
    assert guest.read(REGISTERS + 0x10) == 0
    assert guest.faults() == (1, Fault.OUTSIDE)
