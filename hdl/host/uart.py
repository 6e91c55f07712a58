# SPDX-License-Identifier: Apache-2.0
"""UART, 8N1: a receiver that samples in the middle of each bit, and a transmitter."""

from amaranth import Cat, Const, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

__all__ = ["BITS", "UartReceiver", "UartTransmitter", "uart_divisor"]

BITS = 10
"""Start bit, eight data bits, low bit first, stop bit."""

_MISMATCH = 0.02  # half a bit in ten is 5 %; the other end and the synchronizer need their share


def uart_divisor(*, clock_hz: int, baud: int) -> int:
    """Return the clock cycles of a bit.

    Raises
    ------
    :exc:`ValueError`
        If a bit would have fewer than 4 cycles, or the nearest rate is more than 2 % off.
    """
    if clock_hz < 1 or baud < 1:
        raise ValueError(f"clock and baud rate must be positive, not {clock_hz} and {baud}")
    divisor = round(clock_hz / baud)
    if divisor < 4:
        raise ValueError(
            f"a bit must have at least 4 clock cycles: at {clock_hz} Hz the baud rate must be at"
            f" most {clock_hz // 4}, not {baud}"
        )
    if abs(clock_hz / divisor / baud - 1) > _MISMATCH:
        raise ValueError(
            f"the baud rate must be within 2 % of a part of the clock: {clock_hz} Hz gives"
            f" {clock_hz // divisor}, not {baud}"
        )
    return divisor


def _check(divisor: int) -> None:
    if divisor < 4:
        raise ValueError(f"divisor must be at least 4, not {divisor}")


def _to_middle(divisor: int) -> int:
    """Cycles to wait, after the first one of a start bit, for the one in its middle."""
    return (divisor - 1) // 2 - 1


class UartReceiver(wiring.Component):
    """Turns the line into bytes.

    Parameters
    ----------
    divisor : :class:`int`
        Clock cycles of a bit, 4 or more.

    Members
    -------
    rx : :py:`In(1)`
        The line, asynchronous; high when idle.
    data : :py:`Out(8)`
        The byte, while ``valid``.
    valid : :py:`Out(1)`
        For one cycle: a byte has arrived. Nobody can hold it off.
    error : :py:`Out(1)`
        For one cycle, instead of ``valid``: the stop bit was missing.

    Notes
    -----
    Each bit is looked at once, half a bit after its beginning. A start bit that has gone by then
    was a glitch. After a missing stop bit, nothing begins before the line was high: a line that
    is held low (unplugged, break) gives one error and then nothing.
    """

    rx: Signal
    data: Signal
    valid: Signal
    error: Signal

    def __init__(self, *, divisor: int) -> None:
        _check(divisor)
        self.divisor = divisor
        super().__init__({"rx": In(1), "data": Out(8), "valid": Out(1), "error": Out(1)})

    def elaborate(self, platform: object) -> Module:
        """Wait for the edge, then count bits."""
        m = Module()
        line = Signal(init=1)
        m.submodules.synchronizer = FFSynchronizer(self.rx, line, init=1)
        timer = Signal(range(self.divisor))
        left = Signal(range(BITS + 1))  # samples to take; 0: idle
        high = Signal()  # the line was high since the last byte
        m.d.sync += [self.valid.eq(0), self.error.eq(0)]
        with m.If(left == 0):
            m.d.sync += high.eq(line)
            with m.If(high & ~line):
                m.d.sync += [left.eq(BITS), timer.eq(_to_middle(self.divisor))]
        with m.Elif(timer != 0):
            m.d.sync += timer.eq(timer - 1)
        with m.Else():
            m.d.sync += [timer.eq(self.divisor - 1), left.eq(left - 1)]
            with m.If(left == BITS):
                with m.If(line):
                    m.d.sync += left.eq(0)
            with m.Elif(left == 1):
                m.d.sync += [self.valid.eq(line), self.error.eq(~line), high.eq(line)]
            with m.Else():
                m.d.sync += self.data.eq(Cat(self.data[1:], line))
        return m


class UartTransmitter(wiring.Component):
    """Turns bytes into the line.

    Parameters
    ----------
    divisor : :class:`int`
        Clock cycles of a bit, 4 or more.

    Members
    -------
    bytes : :py:`In(stream.Signature(8))`
        What to send; taken when the byte before has left.
    tx : :py:`Out(1)`
        The line; high when idle, also in reset.
    """

    bytes: stream.Interface
    tx: Signal

    def __init__(self, *, divisor: int) -> None:
        _check(divisor)
        self.divisor = divisor
        super().__init__({"bytes": In(stream.Signature(8)), "tx": Out(1)})

    def elaborate(self, platform: object) -> Module:
        """Shift; the line is a register, so that it has no glitches."""
        m = Module()
        line = Signal(init=1)
        timer = Signal(range(self.divisor))
        left = Signal(range(BITS + 1))  # bits to send; 0: idle
        shifter = Signal(BITS - 1)
        m.d.comb += [self.bytes.ready.eq(left == 0), self.tx.eq(line)]
        with m.If(left == 0):
            with m.If(self.bytes.valid):
                m.d.sync += [
                    line.eq(0),
                    shifter.eq(Cat(self.bytes.payload, Const(1, 1))),
                    left.eq(BITS),
                    timer.eq(self.divisor - 1),
                ]
        with m.Elif(timer != 0):
            m.d.sync += timer.eq(timer - 1)
        with m.Else():
            m.d.sync += [
                line.eq(shifter[0]),
                shifter.eq(Cat(shifter[1:], Const(1, 1))),
                left.eq(left - 1),
                timer.eq(self.divisor - 1),
            ]
        return m
