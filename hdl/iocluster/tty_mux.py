# SPDX-License-Identifier: Apache-2.0
"""One byte stream for all TTY channels."""

from amaranth import Cat, Const, Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from blindvisor.hdl.config import MachineConfig

__all__ = ["TTY_BYTE", "TtyMux"]

TTY_BYTE = data.StructLayout({"byte": 8, "channel": 4})
"""A byte and the physical channel that it comes from or goes to."""


class TtyMux(wiring.Component):
    """Merges what the TTY channels print, in turn, and deals out what is typed.

    Parameters
    ----------
    config : :class:`MachineConfig`
        The machine.

    Members
    -------
    printed : :py:`In(stream.Signature(8)).array(config.tty_channels)`
        From the channels. An offer may be withdrawn.
    typed : :py:`Out(stream.Signature(8)).array(config.tty_channels)`
        To the channels; offered for one cycle.
    clear : :py:`In(config.tty_channels)`
        The channel changes its owner: its byte, if it waits here, is dropped (P10).
    tty_out : :py:`Out(stream.Signature(TTY_BYTE))`
        All that is printed; at most every second cycle. An offer stands until it is taken, or
        until its channel is cleared.
    tty_in : :py:`In(stream.Signature(TTY_BYTE))`
        All that is typed. Always taken: a byte for a full or missing channel is dropped, so none
        can hold up another's.

    Notes
    -----
    The terminal is a shared physical device: how soon a channel's bytes leave depends on the
    others, which P12 excepts. Round robin keeps the wait below one byte of each other channel.
    """

    printed: list[stream.Interface]
    typed: list[stream.Interface]
    clear: Signal
    tty_out: stream.Interface
    tty_in: stream.Interface

    def __init__(self, config: MachineConfig) -> None:
        self.config = config
        channels = config.tty_channels
        super().__init__(
            {
                "printed": In(stream.Signature(8)).array(channels),
                "typed": Out(stream.Signature(8)).array(channels),
                "clear": In(channels),
                "tty_out": Out(stream.Signature(TTY_BYTE)),
                "tty_in": In(stream.Signature(TTY_BYTE)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Choose the next channel after the last one that printed; keep its byte until taken."""
        m = Module()
        channels = self.config.tty_channels

        m.d.comb += self.tty_in.ready.eq(1)
        for number, typed in enumerate(self.typed):
            m.d.comb += [
                typed.payload.eq(self.tty_in.payload.byte),
                typed.valid.eq(self.tty_in.valid & (self.tty_in.payload.channel == number)),
            ]

        with m.If(self.tty_out.ready):
            m.d.sync += self.tty_out.valid.eq(0)
        for number in range(channels):
            with m.If(self.clear[number] & (self.tty_out.payload.channel == number)):
                m.d.sync += self.tty_out.valid.eq(0)
        last = Signal(bits_for(max(channels - 1, 0)))
        with m.If(~self.tty_out.valid):
            with m.Switch(last):
                for number in range(channels):
                    with m.Case(number):
                        self._take_next(m, last, after=number)
        return m

    def _take_next(self, m: Module, last: Signal, *, after: int) -> None:
        """Take a byte of the first channel that offers one, counted from the one after."""
        channels = self.config.tty_channels
        ahead = [(after + 1 + step) % channels for step in range(channels)]
        for position, number in enumerate(ahead):
            earlier = Cat(self.printed[other].valid for other in ahead[:position])
            # A byte that is offered while its channel is cleared is taken and goes nowhere.
            with m.If(self.printed[number].valid & ~earlier.any()):
                m.d.comb += self.printed[number].ready.eq(1)
                m.d.sync += [
                    last.eq(number),
                    self.tty_out.valid.eq(~self.clear[number]),
                    self.tty_out.payload.eq(Cat(self.printed[number].payload, Const(number, 4))),
                ]
