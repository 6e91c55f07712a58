# amaranth: UnusedElaboratable=no
# SPDX-License-Identifier: Apache-2.0
"""Receiver and transmitter against waveforms: wrong rates, glitches, breaks."""

import random

import pytest

from blindvisor.hdl.host import uart
from blindvisor.hdl.host.uart import UartReceiver, UartTransmitter, uart_divisor
from blindvisor.sim import pysim


def levels(byte):
    """The line's ten bits."""
    return (0, *(byte >> n & 1 for n in range(8)), 1)


def receive(divisor, waveform):
    """Return what a receiver makes of a list of levels, one per cycle; None for an error."""
    dut = UartReceiver(divisor=divisor)
    found = []

    async def testbench(ctx):
        for level in [1] * 8 + waveform + [1] * (4 * divisor):
            ctx.set(dut.rx, level)
            await ctx.tick()
            if ctx.get(dut.valid):
                found.append(ctx.get(dut.data))
            if ctx.get(dut.error):
                found.append(None)

    pysim.simulate(dut, testbench, deadline=100_000)
    return found


def sent(data, bit, *, gap=0.0):
    """Waveform of bytes whose bits last ``bit`` cycles, which need not be a whole number."""
    waveform, now = [], 0.0
    for byte in data:
        for level in levels(byte):
            now += bit
            waveform += [level] * (round(now) - len(waveform))
        now += gap
        waveform += [1] * (round(now) - len(waveform))
    return waveform


DATA = bytes([0x00, 0xFF, 0x55, 0xAA, 0x7E, 0x01, 0x80, 0x0F])


@pytest.mark.parametrize("divisor", [4, 5, 7, 16, 40])
@pytest.mark.parametrize("gap", [0.0, 0.3, 5.0])
def test_bytes_arrive_back_to_back_and_apart(divisor, gap):
    assert receive(divisor, sent(DATA, divisor, gap=gap * divisor)) == list(DATA)


def mismatched():
    """Rates of the other end that are 4 % off, either way."""
    return [receive(16, sent(DATA * 2, 16 * factor)) == list(DATA * 2) for factor in (0.96, 1.04)]


def test_the_other_end_may_be_off_by_four_percent():
    assert mismatched() == [True, True]


@pytest.mark.parametrize("wait", [0, 14])
def test_off_the_middle_it_may_not(monkeypatch, wait):
    monkeypatch.setattr(uart, "_to_middle", lambda divisor: wait)  # the control
    assert mismatched() != [True, True]


def test_a_glitch_is_no_start_bit():
    glitch = [1] * 20 + [0] * 5 + [1] * 30
    assert receive(16, glitch + sent(b"a", 16) + glitch) == [0x61]


def test_a_missing_stop_bit_is_an_error_and_a_break_only_one():
    broken = sent(b"\x31", 8)[:-8] + [0] * 500 + [1] * 16
    assert receive(8, broken + sent(b"z", 8)) == [None, 0x7A]


@pytest.mark.parametrize("divisor", [4, 9])
def test_the_transmitter_sends_the_same_waveform(divisor):
    dut = UartTransmitter(divisor=divisor)
    rng = random.Random(divisor)
    data = rng.randbytes(6)
    seen = []

    async def listen(ctx):
        while ctx.get(dut.tx):
            await ctx.tick()
        for _ in data:
            for _ in range(10 * divisor):
                seen.append(ctx.get(dut.tx))
                await ctx.tick()
            while ctx.get(dut.tx) and len(seen) < len(data) * 10 * divisor:
                await ctx.tick()  # a cycle between bytes

    pysim.simulate(dut, pysim.offer(dut.bytes, data), listen)
    assert seen == sent(data, divisor)


@pytest.mark.parametrize(
    ("clock", "baud", "message"),
    [
        (4_000_000, 2_000_000, "at least 4 clock cycles"),
        (25_000_000, 3_700_000, "within 2 %"),
        (0, 9600, "must be positive"),
        (1_000_000, -1, "must be positive"),
    ],
)
def test_a_rate_that_the_clock_does_not_give_is_refused(clock, baud, message):
    with pytest.raises(ValueError, match=message):
        uart_divisor(clock_hz=clock, baud=baud)


def test_usual_rates():
    assert uart_divisor(clock_hz=25_000_000, baud=115_200) == 217
    assert uart_divisor(clock_hz=40_000_000, baud=1_000_000) == 40
    for kind in (UartReceiver, UartTransmitter):
        with pytest.raises(ValueError, match="divisor must be at least 4, not 3"):
            kind(divisor=3)
