# SPDX-License-Identifier: Apache-2.0
"""A frame and its answer: sent again until it comes, carried out once."""

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from blindvisor.hdl.host.frames import (
    ANSWER,
    LINK_MAGIC,
    TRAILER_WORDS,
    Description,
    FrameType,
    Outcome,
)
from blindvisor.sw.host.errors import (
    DeviceReset,
    HostLinkError,
    LinkMisuse,
    NoAnswer,
    PortLost,
    SessionTaken,
    WrongDevice,
)
from blindvisor.sw.host.port import Opener, Port
from blindvisor.sw.host.wire import Decoder, Frame, encode

__all__ = ["Answer", "Exchange"]

_LONGEST_ANSWER = 2048  # bytes, on the line
_LONGEST_WAIT = 16  # times the timeout
_RETURN = 0.2  # seconds between looks for a port that went away


@dataclass(frozen=True)
class Answer:
    """What the device answered.

    Members
    -------
    words : tuple of :class:`int`
        What it read.
    done : :class:`int`
        Accesses made, or bytes typed.
    refused : :class:`bool`
        The port answered the next access with a bus error.
    interrupt, printed : :class:`bool`
        A call has ended; a printed byte waits.
    clock : :class:`int`
        The device's cycle counter, modulo 2^32.
    """

    words: tuple[int, ...]
    done: int
    refused: bool
    interrupt: bool
    printed: bool
    clock: int

    def without(self, count: int) -> "Answer":
        """Return the same, not counting the first accesses."""
        return replace(self, done=self.done - count)


class Exchange:
    """Stop and wait over one port; parameters as :class:`~blindvisor.sw.host.link.UartLink`.

    Members
    -------
    clock_hz : :class:`int`
        What the device said in answer to :meth:`hello`.
    retries : :class:`int`
        Frames sent again.

    Notes
    -----
    The device carries a sequence number out once and then repeats its stored answer. The line
    keeps bytes in order, so an answer with the number asked for is that answer, and no duplicate
    can come after the next one's.
    """

    def __init__(
        self,
        name: str,
        *,
        baud: int,
        timeout: float,
        attempts: int,
        patience: float,
        opener: Opener,
    ) -> None:
        if attempts < 1:
            raise ValueError(f"attempts must be at least 1, not {attempts}")
        if baud < 1 or timeout <= 0 or patience < 0:
            raise ValueError(
                f"baud, timeout and patience must be positive, not {baud}, {timeout}, {patience}"
            )
        self.clock_hz = 1
        self.retries = 0
        self._name = name
        self._baud = baud
        self._timeout = timeout
        self._attempts = attempts
        self._patience = patience
        self._opener = opener
        self._session = 0
        self._sequence = secrets.randbelow(256)
        self._heard = bytearray()  # since the frame was sent, for the error that nothing fits
        self._decoder = Decoder()
        self._port: Port | None = opener(name, baud)

    def close(self) -> None:
        """Let go of the port."""
        if self._port is not None:
            self._port.close()
            self._port = None

    def hello(self, session: int) -> int:
        """Open a session; return the machine's hash.

        Raises
        ------
        :exc:`~blindvisor.sw.host.errors.WrongDevice`
            If what answers is no board of this version.
        """
        self._sequence = (self._sequence + 1) % 256
        hello = Frame(FrameType.HELLO.value, self._sequence, (session,))
        words = self._describe(hello, session=session)
        self._session = session
        self.clock_hz = max(words[Description.CLOCK.value], 1)
        return words[Description.HASH_LOW.value] | words[Description.HASH_HIGH.value] << 32

    def resume(self) -> None:
        """Open the port again if it is gone, and see whether the session is still there.

        Raises
        ------
        :exc:`~blindvisor.sw.host.errors.DeviceReset`
            If the device knows of no session.
        :exc:`~blindvisor.sw.host.errors.SessionTaken`
            If it has another's.
        """
        deadline = time.monotonic() + self._patience
        while True:
            try:
                if self._port is None:
                    self._decoder = Decoder()
                    self._port = self._opener(self._name, self._baud)
                # A number of its own: the stored answer, and what may ask for it, stay as they are.
                who = Frame(FrameType.WHO.value, secrets.randbelow(256), ())
                found = self._describe(who)[Description.SESSION.value]
                break
            except PortLost as error:
                self.close()
                if time.monotonic() > deadline:
                    raise PortLost(
                        f"{error}; it did not come back within {self._patience:g} s"
                    ) from error
                time.sleep(_RETURN)
        if found == 0:
            raise self._reset()
        if found != self._session:
            raise SessionTaken(f"another host has opened the link to the board on {self._name}")

    def ask(self, kind: FrameType, payload: Sequence[int]) -> Answer:
        """Have a frame carried out once and return its answer, through lost bytes and ports.

        Raises
        ------
        :exc:`~blindvisor.sw.host.errors.HostLinkError`
            As :class:`~blindvisor.sw.host.link.UartLink`.
        """
        self._sequence = (self._sequence + 1) % 256
        frame = Frame(kind.value, self._sequence, tuple(payload))
        while True:
            try:
                if self._port is None:
                    raise PortLost(f"the port {self._name} is closed")
                words = self._persist(frame)
                break
            except PortLost:
                self.close()
                self.resume()
        status = words[-1]
        outcome = status >> 16 & 0xF
        if outcome == Outcome.NO_SESSION.value:
            raise self._reset()
        if outcome not in (Outcome.OK.value, Outcome.BUS_ERROR.value):
            raise LinkMisuse(
                f"the board on {self._name} did not understand a frame of type {kind.name}:"
                f" its gateware is not of this version"
            )
        return Answer(
            words=words[:-TRAILER_WORDS],
            done=status & 0xFFFF,
            refused=outcome == Outcome.BUS_ERROR.value,
            interrupt=bool(status >> 24 & 1),
            printed=bool(status >> 25 & 1),
            clock=words[-2],
        )

    def _reset(self) -> HostLinkError:
        return DeviceReset(
            f"the board on {self._name} was reset since the link was opened: its VMs are gone"
        )

    def _describe(self, frame: Frame, *, session: int | None = None) -> tuple[int, ...]:
        """Have the device describe itself; with ``session``, as one that has opened it."""
        words = self._persist(frame, session=session)
        if len(words) != len(Description) + TRAILER_WORDS or words[0] != LINK_MAGIC:
            raise WrongDevice(
                f"the board on {self._name} speaks another version of the link"
                f" ({words[0] if words else 0:#010x}, not {LINK_MAGIC:#010x})"
            )
        return words

    def _persist(self, frame: Frame, *, session: int | None = None) -> tuple[int, ...]:
        """Send until answered; return the answer's payload."""
        line = encode(frame)
        self._heard.clear()
        for attempt in range(self._attempts):
            self.retries += attempt > 0
            # Longer each time: a line slower than expected would else drown in repetitions.
            wait = self._timeout * min(1 << attempt, _LONGEST_WAIT)
            words = self._once(line, frame, session, wait)
            if words is not None:
                return words
        name, times = self._name, self._attempts
        if not self._heard:
            raise NoAnswer(
                f"nothing answers on {name} at {self._baud} baud ({times} attempts): is it the"
                " board's port, is the board on, and configured?"
            )
        if session is not None:
            raise WrongDevice(
                f"what is on {name} is no board of blindvisor, or does not use {self._baud} baud:"
                f" it sent {len(self._heard)} bytes without a frame, first"
                f" {bytes(self._heard[:8]).hex(' ')}"
            )
        raise NoAnswer(f"no answer from the board on {name} ({times} attempts): the line is noisy")

    def _once(
        self, line: bytes, frame: Frame, session: int | None, wait: float
    ) -> tuple[int, ...] | None:
        """Send; return the answer's payload, or None after silence, or endless noise."""
        port = self._port
        assert port is not None
        port.write(line)
        sending = len(line) * 10 / self._baud
        quiet = time.monotonic() + sending + wait
        latest = quiet + _LONGEST_ANSWER * 10 / self._baud + 4 * wait
        while (now := time.monotonic()) < min(quiet, latest):
            heard = port.read()
            if not heard:
                continue
            self._heard += heard[: 64 - len(self._heard)] if len(self._heard) < 64 else b""
            quiet = max(quiet, now + wait)
            for answer in self._decoder.feed(heard):
                if (answer.type, answer.sequence) != (frame.type | ANSWER, frame.sequence):
                    continue  # the answer to an earlier attempt of an earlier frame
                if len(answer.words) < TRAILER_WORDS:
                    continue
                if session is not None and answer.words[4:5] != (session,):
                    continue  # to a host before this one
                return answer.words
        return None
