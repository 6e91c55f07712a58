# amaranth: UnusedElaboratable=no
"""The hypervisor's registers: directions, whole words, and what a call leaves."""

from typing import Any

import pytest

from blindvisor.hdl.abi import Call, HypervisorRegister, Result
from blindvisor.hdl.config import MachineConfig
from blindvisor.hdl.iocluster.port import HypervisorPort
from blindvisor.sim import pysim

CONFIG = MachineConfig(
    name="test", width=4, height=3, cores=2, memory_bytes=2048, vms=5, guest_channels=7
)
REG = HypervisorRegister
ARGUMENTS = [REG.ARG0, REG.ARG1, REG.ARG2, REG.ARG3, REG.ARG4]
VALUES = [REG.VALUE0, REG.VALUE1, REG.VALUE2, REG.VALUE3]
READABLE = {REG.ID, REG.MESH, REG.MEMORY, REG.LIMITS, REG.STATUS, REG.RESULT, REG.STAGING_SPACE}
READABLE |= {*ARGUMENTS, *VALUES, REG.SAVED, REG.SAVED_WORDS}
WRITABLE = {REG.COMMAND, REG.STATUS, REG.ABORT, REG.STAGING, *ARGUMENTS}


class Bench:
    """The port, with accesses made on its bus."""

    ctx: Any

    def __init__(self, script, config=CONFIG):
        self.dut = HypervisorPort(config)

        async def main(ctx):
            self.ctx = ctx
            for mailbox in self.dut.mailboxes:
                ctx.set(mailbox.answer, {"error": 1})
            await script(self)

        pysim.simulate(self.dut, main, deadline=20_000)

    async def access(self, address, word=None):
        """Make one access; return the word read, or None if it was refused."""
        ctx, bus = self.ctx, self.dut.bus
        ctx.set(bus.stb, 1)
        ctx.set(bus.we, word is not None)
        ctx.set(bus.adr, getattr(address, "value", address))
        ctx.set(bus.dat_w, word or 0)
        ack, err, value = ctx.get(bus.ack), ctx.get(bus.err), ctx.get(bus.dat_r)
        assert ack != err
        assert ack or value == 0
        await ctx.tick()
        ctx.set(bus.stb, 0)
        assert not ctx.get(bus.ack)
        assert not ctx.get(bus.err)
        return value if ack else None


def test_machine_describes_itself():
    async def script(bench):
        assert await bench.access(REG.ID) == int.from_bytes(b"BLV1", "little")
        assert await bench.access(REG.MESH) == 4 | 3 << 8 | 2 << 16
        assert await bench.access(REG.MEMORY) == 2048
        assert await bench.access(REG.LIMITS) == 5 | 6 << 8 | 4 << 16 | 7 << 24

    Bench(script)


def test_every_other_address_and_direction_is_refused():
    readable = {register.value for register in READABLE}
    writable = {register.value for register in WRITABLE}

    async def script(bench):
        ctx, dut = bench.ctx, bench.dut
        ctx.set(dut.staging_space, 1)
        ctx.set(dut.saved_count, 1)
        for address in range(0, 0x1000):
            # Words of both sides of every border; each byte of the registers' own part.
            if address < 0x180 or address % 0x40 in (0, 4):
                assert (await bench.access(address) is not None) == (address in readable)
                assert (await bench.access(address, 1) is not None) == (address in writable)

    Bench(script)


def test_refused_accesses_reach_nothing():
    async def script(bench):
        ctx, dut = bench.ctx, bench.dut
        for word, register in enumerate(ARGUMENTS):
            await bench.access(register, word + 1)
        for address, write in [(REG.ARG0.value + 2, 1), (0x034, 1), (0xFFC, 1), (0x010, 0)]:
            ctx.set(dut.bus.stb, 1)
            ctx.set(dut.bus.adr, address)
            ctx.set(dut.bus.we, write)
            assert not ctx.get(dut.calls.start)
            assert not ctx.get(dut.calls.abort)
            assert not ctx.get(dut.staging_write)
            await ctx.tick()
        ctx.set(dut.bus.stb, 0)
        for register in (REG.COMMAND, REG.ABORT, REG.STAGING):
            ctx.set(dut.bus.adr, register.value)
            ctx.set(dut.bus.we, 1)
            ctx.set(dut.staging_space, 1)
            assert not ctx.get(dut.calls.start)
            assert not ctx.get(dut.calls.abort)
            assert not ctx.get(dut.staging_write)
        assert [await bench.access(register) for register in ARGUMENTS] == [1, 2, 3, 4, 5]

    Bench(script)


def test_command_starts_a_call_with_the_arguments_and_is_refused_during_one():
    async def script(bench):
        ctx, dut = bench.ctx, bench.dut
        for n, register in enumerate(ARGUMENTS):
            assert await bench.access(register, 0xA0000000 + n) is not None
        ctx.set(dut.bus.stb, 1)
        ctx.set(dut.bus.we, 1)
        ctx.set(dut.bus.adr, REG.COMMAND.value)
        ctx.set(dut.bus.dat_w, 0x80000000 | Call.STATUS.value)
        assert ctx.get(dut.calls.start)
        assert ctx.get(dut.bus.ack)
        assert ctx.get(dut.calls.command) == 0x80000000 | Call.STATUS.value
        arguments = [ctx.get(dut.calls.arguments[n]) for n in range(5)]
        assert arguments == [0xA0000000 + n for n in range(5)]
        ctx.set(dut.calls.busy, 1)
        assert not ctx.get(dut.calls.start)
        assert ctx.get(dut.bus.err)
        await ctx.tick()
        assert await bench.access(REG.STATUS) == 1
        ctx.set(dut.calls.loading, 1)
        assert await bench.access(REG.STATUS) == 5

    Bench(script)


def test_done_and_interrupt_stay_until_status_is_written():
    async def script(bench):
        ctx, dut = bench.ctx, bench.dut
        assert not ctx.get(dut.interrupt)
        ctx.set(dut.calls.ended, 1)
        await ctx.tick()
        ctx.set(dut.calls.ended, 0)
        for n in range(4):
            ctx.set(dut.calls.values[n], 0xB0000000 + n)
        ctx.set(dut.calls.result, Result.OCCUPIED)
        assert ctx.get(dut.interrupt)
        assert await bench.access(REG.STATUS) == 2
        assert await bench.access(REG.RESULT) == Result.OCCUPIED.value
        assert [await bench.access(register) for register in VALUES] == [
            0xB0000000 + n for n in range(4)
        ]
        assert ctx.get(dut.interrupt)
        await bench.access(REG.STATUS, 0)
        assert not ctx.get(dut.interrupt)
        assert await bench.access(REG.STATUS) == 0
        # The end of a call in the cycle of that write is not lost.
        ctx.set(dut.calls.ended, 1)
        await bench.access(REG.STATUS, 0)
        assert ctx.get(dut.interrupt)

    Bench(script)


def test_staging_takes_words_while_there_is_space():
    async def script(bench):
        ctx, dut = bench.ctx, bench.dut
        assert await bench.access(REG.STAGING, 7) is None
        ctx.set(dut.staging_space, 3)
        assert await bench.access(REG.STAGING_SPACE) == 3
        ctx.set(dut.bus.stb, 1)
        ctx.set(dut.bus.we, 1)
        ctx.set(dut.bus.adr, REG.STAGING.value)
        ctx.set(dut.bus.dat_w, 0xC0FFEE)
        assert ctx.get(dut.staging_write)
        assert ctx.get(dut.staging_data) == 0xC0FFEE
        ctx.set(dut.staging_space, 0)
        assert not ctx.get(dut.staging_write)
        assert ctx.get(dut.bus.err)

    Bench(script)


def test_saved_words_are_taken_one_by_one_while_there_are_any():
    async def script(bench):
        ctx, dut = bench.ctx, bench.dut
        ctx.set(dut.calls.saving, 1)
        assert await bench.access(REG.STATUS) == 0b1000
        ctx.set(dut.saved_count, 3)
        ctx.set(dut.saved_data, 0xC0FFEE)
        assert await bench.access(REG.SAVED_WORDS) == 3
        ctx.set(dut.bus.adr, REG.SAVED.value)
        assert not ctx.get(dut.saved_read)
        ctx.set(dut.bus.stb, 1)
        for write in (1, 0):
            ctx.set(dut.bus.we, write)
            assert ctx.get(dut.saved_read) == 1 - write
            assert ctx.get(dut.bus.err) == write
        assert ctx.get(dut.bus.dat_r) == 0xC0FFEE
        ctx.set(dut.saved_count, 0)
        assert not ctx.get(dut.saved_read)
        assert ctx.get(dut.bus.err)
        assert ctx.get(dut.bus.dat_r) == 0

    Bench(script)


@pytest.mark.parametrize("mailboxes", [1, 16])
def test_each_mailbox_has_its_own_page(mailboxes):
    config = MachineConfig(
        name="test", width=1, height=1, tty_channels=0, mailbox_channels=mailboxes
    )

    async def script(bench):
        ctx, dut = bench.ctx, bench.dut
        for n in range(mailboxes + 1):
            for offset in range(0, 0x20, 2):
                ctx.set(dut.bus.stb, 1)
                ctx.set(dut.bus.we, offset == 4)
                ctx.set(dut.bus.adr, REG.MAILBOX.value + 0x20 * n + offset)
                ctx.set(dut.bus.dat_w, 0x1234)
                reached = [m for m in range(mailboxes) if ctx.get(dut.mailboxes[m].access.valid)]
                expected = n < mailboxes and offset < 0x10 and offset % 4 == 0
                assert reached == ([n] if expected else [])
                assert ctx.get(dut.bus.err)  # what the device says
                if expected:
                    mailbox = dut.mailboxes[n]
                    assert ctx.get(mailbox.access.register) == offset
                    assert ctx.get(mailbox.access.write) == (offset == 4)
                    assert ctx.get(mailbox.access.data) == 0x1234
                    ctx.set(mailbox.answer, {"data": 0x5678})
                    assert ctx.get(dut.bus.ack)
                    assert ctx.get(dut.bus.dat_r) == (0 if offset == 4 else 0x5678)
                    ctx.set(mailbox.answer, {"error": 1})
                await ctx.tick()

    Bench(script, config)
