# SPDX-License-Identifier: Apache-2.0
"""The model's registers, as the contract has them."""

import pytest

from blindvisor.hdl.abi import Call, ChannelRegister, HypervisorRegister, Result
from blindvisor.hdl.config import CONFIGURATIONS
from blindvisor.sw.hypervisor.link import BusError
from blindvisor.sw.model.link import ModelLink
from blindvisor.sw.model.store import Store

R = HypervisorRegister
WRITE_ONLY = [R.COMMAND, R.ABORT, R.STAGING]
READ_ONLY = [R.ID, R.MESH, R.MEMORY, R.LIMITS, R.RESULT, R.VALUE0, R.VALUE3]
READ_ONLY += [R.STAGING_SPACE, R.SAVED, R.SAVED_WORDS]


@pytest.fixture
def link(root_key):
    return ModelLink(CONFIGURATIONS["reference"], root_key=root_key)


def test_machine_describes_itself(link):
    assert link.read(R.ID.value).to_bytes(4, "little") == b"BLV1"
    assert link.read(R.MESH.value) == 4 | 4 << 8 | 1 << 16
    assert link.read(R.MEMORY.value) == 16384
    assert link.read(R.LIMITS.value) == 8 | 7 << 8 | 4 << 16 | 4 << 24
    assert link.read(R.RESULT.value) == Result.NONE.value


@pytest.mark.parametrize("register", WRITE_ONLY)
def test_write_only_registers_cannot_be_read(link, register):
    with pytest.raises(BusError, match="read of"):
        link.read(register.value)


@pytest.mark.parametrize("register", [*READ_ONLY, R.STAGING])
def test_others_cannot_be_written(link, register):
    with pytest.raises(BusError, match="write to"):
        link.write(register.value, 1)


@pytest.mark.parametrize("address", [0x034, 0x060, 0x0FC, 0x002, 0x108, 0x10C, 0x140, 0xFFC])
def test_unknown_addresses_are_errors(link, address):
    with pytest.raises(BusError):
        link.read(address)
    with pytest.raises(BusError):
        link.write(address, 0)


def test_arguments_keep_what_was_written(link):
    for n in range(5):
        link.write(R.ARG0.value + 4 * n, 0xFFFF_FFF0 + n)
    assert [link.read(R.ARG0.value + 4 * n) for n in range(5)] == [
        0xFFFF_FFF0 + n for n in range(5)
    ]


def test_done_stays_until_status_is_written(link):
    link.write(R.COMMAND.value, Call.NONE.value)
    assert link.read(R.STATUS.value) == 2
    assert link.read(R.RESULT.value) == Result.UNKNOWN_CALL.value
    link.write(R.STATUS.value, 0)
    assert link.read(R.STATUS.value) == 0
    assert link.read(R.RESULT.value) == Result.UNKNOWN_CALL.value


def test_staging_takes_no_more_than_the_length(link):
    for n, word in enumerate((1, 0, 0, 1, 1)):
        link.write(R.ARG0.value + 4 * n, word)
    link.write(R.COMMAND.value, Call.VM_CREATE.value)
    link.write(R.ARG1.value, 192)
    link.write(R.STATUS.value, 0)
    link.write(R.COMMAND.value, Call.VM_LOAD.value)
    assert link.read(R.STATUS.value) == 5
    assert link.read(R.STAGING_SPACE.value) == 48
    with pytest.raises(BusError):
        link.write(R.COMMAND.value, Call.STATUS.value)
    assert link.write_words(R.STAGING.value, [0] * 100) == 40  # the header is all wrong
    assert link.read(R.STATUS.value) == 2
    assert link.read(R.RESULT.value) == Result.IMAGE_HEADER.value
    assert link.read(R.STAGING_SPACE.value) == 0
    with pytest.raises(BusError):
        link.write(R.STAGING.value, 0)


def test_abort_without_a_load_does_nothing(link):
    link.write(R.ABORT.value, 1)
    assert link.read(R.STATUS.value) == 0


def test_saved_gives_nothing_unless_there_is_a_save(link):
    assert link.read(R.SAVED_WORDS.value) == 0
    with pytest.raises(BusError, match="read of address 0x058"):
        link.read(R.SAVED.value)


def test_a_store_of_another_machine_is_refused(root_key):
    with pytest.raises(ValueError, match="the store must have 16 rows, not 3"):
        ModelLink(CONFIGURATIONS["small"], root_key=root_key, store=Store(3))


def test_hypervisors_end_of_a_mailbox_has_no_kind_and_no_enable(link):
    assert link.read(R.MAILBOX.value + ChannelRegister.STATUS.value) == 2
    with pytest.raises(BusError):
        link.read(R.MAILBOX.value + ChannelRegister.ENABLE.value)
    with pytest.raises(BusError):
        link.read(R.MAILBOX.value + ChannelRegister.DATA.value)


@pytest.mark.parametrize("channel", [-1, 4])
def test_other_channels_are_no_ttys(link, channel):
    with pytest.raises(ValueError, match=f"from 0 to 3, not {channel}"):
        link.tty_read(channel)


def test_words_must_be_words(link):
    with pytest.raises(ValueError, match="32-bit word"):
        link.write(R.ARG0.value, -1)


def test_root_key_must_have_its_length():
    with pytest.raises(ValueError, match="32 bytes, not 3"):
        ModelLink(CONFIGURATIONS["small"], root_key=b"abc")
