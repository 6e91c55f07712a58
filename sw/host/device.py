# SPDX-License-Identifier: Apache-2.0
"""Model of the device's end of the link: any machine behind it, no line, no time."""

from collections import deque

from blindvisor.hdl.abi import HypervisorRegister
from blindvisor.hdl.host.frames import (
    ANSWER,
    CAPACITY,
    LINK_MAGIC,
    TRAILER_WORDS,
    FrameType,
    Outcome,
    machine_hash,
)
from blindvisor.sw.host.wire import Decoder, Frame, encode
from blindvisor.sw.hypervisor.link import BusError, Link
from blindvisor.sw.hypervisor.monitor import STATUS_DONE

__all__ = ["Device"]

_ROOM = CAPACITY - TRAILER_WORDS


class Device:
    """What :class:`~blindvisor.hdl.host.bridge.HostBridge` is in gateware.

    Parameters
    ----------
    link : :class:`~blindvisor.sw.hypervisor.link.Link`
        The machine, of which the host sees what the hypervisor's port offers.
    clock_hz : :class:`int`
        What it says its clock is.

    Members
    -------
    clock : :class:`int`
        Its cycle counter; whoever lets the machine run counts it up.
    """

    def __init__(self, link: Link, *, clock_hz: int = 40_000_000) -> None:
        self.clock = 0
        self._link = link
        self._clock_hz = clock_hz
        self._decoder = Decoder()
        self._printed: deque[int] = deque()
        self.reset()

    def reset(self) -> None:
        """Forget the session and the stored answer, as after power-on."""
        self._session = 0
        self._last: int | None = None
        self._stored: tuple[int, ...] = ()

    def feed(self, data: bytes) -> bytes:
        """Take what came over the line; return what goes back."""
        return b"".join(encode(self._answer(frame)) for frame in self._decoder.feed(data))

    def _answer(self, frame: Frame) -> Frame:
        return Frame(frame.type | ANSWER, frame.sequence, self._carry_out(frame))

    def _carry_out(self, frame: Frame) -> tuple[int, ...]:
        match frame.type:
            case FrameType.HELLO.value:
                if len(frame.words) != 1 or not frame.words[0]:
                    return self._trailer(0, Outcome.MALFORMED)
                self._session, self._last = frame.words[0], None
                return self._description()
            case FrameType.WHO.value:
                return self._description()
        if not self._session:
            return self._trailer(0, Outcome.NO_SESSION)
        if frame.sequence != self._last:
            self._last = frame.sequence
            match frame.type:
                case FrameType.ACCESS.value:
                    self._stored = self._access(list(frame.words))
                case FrameType.TTY_READ.value:
                    self._listen()
                    count = min(len(self._printed), _ROOM)
                    words = [self._printed.popleft() for _ in range(count)]
                    self._stored = (*words, *self._trailer(0, Outcome.OK))
                case FrameType.TTY_WRITE.value:
                    for word in frame.words:
                        self._type(word >> 8 & 0xF, word & 0xFF)
                    self._stored = self._trailer(len(frame.words), Outcome.OK)
                case _:
                    self._stored = self._trailer(0, Outcome.MALFORMED)
        return self._stored

    def _description(self) -> tuple[int, ...]:
        number = machine_hash(self._link.config)
        words = (LINK_MAGIC, number & 0xFFFF_FFFF, number >> 32, self._clock_hz, self._session)
        return (*words, *self._trailer(0, Outcome.OK))

    def _access(self, words: list[int]) -> tuple[int, ...]:
        read: list[int] = []
        done = 0
        outcome = Outcome.OK
        try:
            while words:
                header = words.pop(0)
                address, write, count = header & 0xFFF, header >> 15 & 1, header >> 16 & 0xFF
                for _ in range(count):
                    if not words if write else len(read) >= _ROOM:
                        return (*read, *self._trailer(done, Outcome.MALFORMED))
                    if write:
                        self._link.write(address, words.pop(0))
                    else:
                        read.append(self._link.read(address))
                    done += 1
        except BusError:
            outcome = Outcome.BUS_ERROR
        return (*read, *self._trailer(done, outcome))

    def _trailer(self, done: int, outcome: Outcome) -> tuple[int, int]:
        self._listen()
        interrupt = bool(self._link.read(HypervisorRegister.STATUS.value) & STATUS_DONE)
        status = done | outcome.value << 16 | interrupt << 24 | bool(self._printed) << 25
        return self.clock % (1 << 32), status

    def _listen(self) -> None:
        for channel in range(self._link.config.tty_channels):
            self._printed.extend(byte | channel << 8 for byte in self._link.tty_read(channel))

    def _type(self, channel: int, byte: int) -> None:
        if channel < self._link.config.tty_channels:
            self._link.tty_write(channel, bytes((byte,)))
