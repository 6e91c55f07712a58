# SPDX-License-Identifier: Apache-2.0
"""The hypervisor drives the RTL of a board over its UART, through noise."""

import pytest

from blindvisor.hdl.abi import Call, HypervisorRegister, VmState
from blindvisor.hdl.config import MachineConfig
from blindvisor.sim.board import compile_board, power_up
from blindvisor.sw.guests.build import BIN
from blindvisor.sw.guests.expected import bench_checksum, matmul_checksum
from blindvisor.sw.host.errors import DeviceReset
from blindvisor.sw.host.link import UartLink
from blindvisor.sw.hypervisor.hypervisor import Hypervisor
from blindvisor.sw.image.elf import read_guest
from blindvisor.sw.image.pack import pack

CONFIG = MachineConfig(name="board", width=2, height=1)
ROOT_KEY = bytes(range(3, 35))
NOISE = 0.0003
GUESTS = {"matmul": (1, 1), "bench": (1, 1)}


def image(guest, width, height):
    memories = read_guest(
        BIN / f"{guest}.elf", width=width, height=height, memory_bytes=CONFIG.memory_bytes
    )
    return pack(memories, width=width, height=height, root_key=ROOT_KEY)


def board_forgets_at_reset(board, link):
    """Press the button: the old link is told, and a new one finds an empty machine."""
    board.press_reset()
    with pytest.raises(DeviceReset):
        link.read(HypervisorRegister.STATUS.value)
    link.close()
    with UartLink(board.port, CONFIG, timeout=0.2, attempts=20) as again:
        status = Hypervisor(again).vm_status(1)
        return status.state is VmState.EMPTY


@pytest.mark.cocotb
def test_two_encrypted_guests_run_on_a_board_with_a_noisy_line(tmp_path):
    printed = dict.fromkeys(range(len(GUESTS)), b"")
    told = []
    words = 0
    with (
        power_up(compile_board(CONFIG, root_key=ROOT_KEY), tmp_path, noise=NOISE) as board,
        UartLink(board.port, CONFIG, timeout=0.2, attempts=20, piece=32) as link,
    ):
        hypervisor = Hypervisor(link)
        write = link.write

        def note(address, value):
            if address == 0x10:
                told.append(value)
            write(address, value)

        link.write = note
        for channel, (guest, size) in enumerate(GUESTS.items()):
            vm = hypervisor.create(width=size[0], height=size[1])
            vm.grant(channel, 0)
            content = image(guest, *size)
            words += len(content) // 4
            link._exchange.close()  # as if unplugged: the next access finds the session again
            vm.load(content)
        for vm in range(1, 1 + len(GUESTS)):
            hypervisor.vm_start(vm)
        while not all(b"[exit 0]\n" in text for text in printed.values()):
            assert link.cycles < 8_000_000, printed
            link.advance(5000)
            for channel, text in printed.items():
                printed[channel] = text + link.tty_read(channel)
        retries = link.retries
        assert board_forgets_at_reset(board, link)
    assert f"checksum 0x{matmul_checksum(1, 1):08x}".encode() in printed[0]
    assert f"checksum 0x{bench_checksum():08x}".encode() in printed[1]
    assert retries >= 3
    assert min(board.seen["spoiled"]) >= 3
    assert board.seen["calls"] == [*told, Call.STATUS.value]  # the last one after the reset
    assert told.count(Call.VM_LOAD.value) == 2
    assert board.seen["staged"] == words
    assert board.seen["printed"] == sum(map(len, printed.values()))
