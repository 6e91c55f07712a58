# SPDX-License-Identifier: Apache-2.0
"""How a call is made: arguments, command, image words, completion, result."""

import io
from collections.abc import Callable
from typing import BinaryIO

from blindvisor.hdl.abi import Call, HypervisorRegister, Result
from blindvisor.sw.hypervisor.errors import ERRORS, HypervisorError, ImageTruncated, MonitorBusy
from blindvisor.sw.hypervisor.link import BusError, Link, LinkTimeout

__all__ = [
    "STATUS_BUSY",
    "STATUS_DONE",
    "STATUS_LOADING",
    "STATUS_SAVING",
    "MonitorPort",
    "check",
    "image_length",
    "image_words",
]

STATUS_BUSY = 1 << 0
STATUS_DONE = 1 << 1
STATUS_LOADING = 1 << 2
STATUS_SAVING = 1 << 3

_ARGUMENTS = {
    Call.VM_CREATE: ("vm", "x", "y", "width", "height"),
    Call.VM_LOAD: ("vm", "length"),
    Call.CHANNEL_GRANT: ("channel", "vm", "guest_channel"),
    Call.CHANNEL_REVOKE: ("channel",),
    Call.STATUS: ("kind", "index"),
    Call.FAULT_CLEAR: ("cluster",),
}


class MonitorPort:
    """The monitor's registers, used as the contract says; arguments are not judged here.

    Parameters
    ----------
    link : :class:`~blindvisor.sw.hypervisor.link.Link`
        The machine.
    timeout : :class:`int` or None
        Cycles after which a call that has not ended is an error; None: enough for any call of
        this machine.

    Raises
    ------
    :exc:`~blindvisor.sw.hypervisor.link.LinkTimeout`
        If the machine's scrub after power-on does not end.
    """

    def __init__(self, link: Link, *, timeout: int | None = None) -> None:
        config = link.config
        if timeout is None:
            # A word a cycle of scrubbing, a few passes over all clusters, and a staging area
            # full of ciphertext that the loader has still to decrypt.
            timeout = 100_000 + 4 * config.memory_words + 64 * config.clusters**2
            timeout += 256 * config.staging_words
        if timeout < 1:
            raise ValueError(f"timeout must be at least 1 cycle, not {timeout}")
        self.link = link
        self.timeout = timeout
        self.wait_ready()

    def wait_ready(self) -> None:
        """Wait until the machine has scrubbed itself after power-on or a reset.

        Raises
        ------
        :exc:`~blindvisor.sw.hypervisor.link.LinkTimeout`
            If that does not end.
        """
        waited = 0
        while self._read(HypervisorRegister.STATUS) & STATUS_BUSY:
            if waited >= self.timeout:
                raise LinkTimeout(f"the machine is still busy {waited} cycles after power-on")
            self.link.advance(100)
            waited += 100

    def invoke(self, call: Call | int, *arguments: int) -> Result:
        """Make a call with any arguments and return its result code, good or bad.

        Arguments that are not given are 0. For VM_LOAD use :meth:`load`, for VM_SAVE :meth:`save`.
        """
        self.begin(call, *arguments)
        return self.finish()

    def begin(self, call: Call | int, *arguments: int) -> None:
        """Begin a call and do not wait; :meth:`finish` ends it."""
        padded = (*arguments, 0, 0, 0, 0, 0)[:5]
        for n, argument in enumerate(padded):
            if not 0 <= argument < 1 << 32:
                raise HypervisorError(
                    f"arguments of {_sentence(call, arguments)} must be 32-bit words,"
                    f" not {argument}"
                )
            self.link.write(HypervisorRegister.ARG0.value + 4 * n, argument)
        number = call.value if isinstance(call, Call) else call
        try:
            self.link.write(HypervisorRegister.COMMAND.value, number)
        except BusError as error:
            raise MonitorBusy(_sentence(call, arguments)) from error

    def finish(self) -> Result:
        """Wait for the end of the call that was begun last; return its result code."""
        self.link.wait_done(self.timeout)
        return self._end()

    def call(self, call: Call | int, *arguments: int) -> None:
        """Make a call; raise unless it succeeds."""
        check(self.invoke(call, *arguments), call, arguments)

    def values(self) -> tuple[int, int, int, int]:
        """Return VALUE0..VALUE3: what the last successful STATUS left."""
        return (
            self._read(HypervisorRegister.VALUE0),
            self._read(HypervisorRegister.VALUE1),
            self._read(HypervisorRegister.VALUE2),
            self._read(HypervisorRegister.VALUE3),
        )

    def load(
        self,
        vm: int,
        image: bytes | BinaryIO,
        *,
        length: int | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> Result:
        """Make the call VM_LOAD, feed it, and return its result code.

        Whatever interrupts this method aborts the load. Parameters and exceptions:
        :meth:`Hypervisor.vm_load`.
        """
        source = io.BytesIO(image) if isinstance(image, bytes) else image
        if length is None:
            length = image_length(image)
        self.begin(Call.VM_LOAD, vm, length)
        try:
            self._stream(source, length, progress)
            self.link.wait_done(self.timeout)
        except BaseException:  # KeyboardInterrupt too: the VM must not stay half loaded
            self._abort()
            raise
        return self._end()

    def save(
        self, vm: int, *, progress: Callable[[int], None] | None = None
    ) -> tuple[Result, bytes]:
        """Make the call VM_SAVE; return its result code and what it gave.

        What it gave is a saved image only if the result is OK. Whatever interrupts this method
        aborts the save. Parameters: :meth:`Hypervisor.vm_save`.
        """
        self.begin(Call.VM_SAVE, vm)
        image = bytearray()
        piece = self.link.config.staging_words
        try:
            while True:
                words = self.link.read_words(HypervisorRegister.SAVED.value, piece)
                image += b"".join(word.to_bytes(4, "little") for word in words)
                if progress is not None:
                    progress(len(image))
                if len(words) < piece:
                    break
            self.link.wait_done(self.timeout)
        except BaseException:  # or the port would stay busy
            self._abort()
            raise
        return self._end(), bytes(image)

    def _abort(self) -> None:
        self.link.write(HypervisorRegister.ABORT.value, 1)
        self.finish()

    def _read(self, register: HypervisorRegister) -> int:
        return self.link.read(register.value)

    def _end(self) -> Result:
        """Read the result and take the interrupt down."""
        result = Result(self._read(HypervisorRegister.RESULT))
        self.link.write(HypervisorRegister.STATUS.value, 1)
        return result

    def _stream(
        self, source: BinaryIO, length: int, progress: Callable[[int], None] | None
    ) -> None:
        """Feed the loader until it has all it asked for, or the call ends."""
        piece = 4 * self.link.config.staging_words
        sent = 0
        while sent < length:
            asked = min(piece, length - sent)
            part = _read_all(source, asked)
            if len(part) < asked:
                raise ImageTruncated(
                    f"the image ends after {sent + len(part)} of {length} bytes;"
                    " the load was aborted"
                )
            # A last part of a word only occurs in images that the loader refuses anyway.
            words = image_words(part + bytes(-len(part) % 4))
            taken = self.link.write_words(HypervisorRegister.STAGING.value, words)
            sent += len(part)
            if progress is not None:
                progress(min(sent, sent - len(part) + 4 * taken))
            if taken < len(words):
                return


def check(result: Result, call: Call | int, arguments: tuple[int, ...]) -> None:
    """Raise the exception class of a result code that is not OK."""
    if result is not Result.OK:
        error = ERRORS.get(result)
        if error is None:
            raise HypervisorError(f"{_sentence(call, arguments)} ended without a result")
        raise error(_sentence(call, arguments))


def image_words(image: bytes | bytearray) -> list[int]:
    """Return a piece of an image as STAGING takes it, whole words alone."""
    return [int.from_bytes(image[n : n + 4], "little") for n in range(0, len(image), 4)]


def image_length(image: bytes | BinaryIO) -> int:
    """Return the bytes that an image has from here on."""
    if isinstance(image, bytes):
        return len(image)
    start = image.tell()
    end = image.seek(0, io.SEEK_END)
    image.seek(start)
    return end - start


def _read_all(source: BinaryIO, count: int) -> bytes:
    """Read ``count`` bytes, fewer only at the end; a pipe may give them in pieces."""
    data = b""
    while len(data) < count and (piece := source.read(count - len(data))):
        data += piece
    return data


def _sentence(call: Call | int, arguments: tuple[int, ...]) -> str:
    if not isinstance(call, Call):
        return f"call {call}({', '.join(map(str, arguments))})"
    names = _ARGUMENTS.get(call, ("vm",))
    given = ", ".join(f"{name}={value}" for name, value in zip(names, arguments, strict=False))
    return f"{call.name.lower()}({given})"
