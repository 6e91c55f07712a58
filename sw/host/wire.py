# SPDX-License-Identifier: Apache-2.0
"""Frames of the host link, as bytes and as values. The format: docs/host-link.md."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from blindvisor.hdl.host.frames import CAPACITY, ESCAPE, ESCAPE_FLIP, SYNC

__all__ = ["Decoder", "Frame", "encode"]

_HEADER_BYTES = 3
_CRC_BYTES = 4


@dataclass(frozen=True)
class Frame:
    """One frame.

    Members
    -------
    type, sequence : :class:`int`
        Bytes.
    words : tuple of :class:`int`
        The payload, at most :data:`~blindvisor.hdl.host.frames.CAPACITY` words of 32 bits.
    """

    type: int
    sequence: int
    words: tuple[int, ...]


def encode(frame: Frame) -> bytes:
    """Return what goes over the line for a frame.

    Raises
    ------
    :exc:`ValueError`
        If a field is out of range.
    """
    if not 0 <= frame.type < 256 or not 0 <= frame.sequence < 256:
        raise ValueError(
            f"type and sequence number must be bytes, not {frame.type} and {frame.sequence}"
        )
    if len(frame.words) > CAPACITY:
        raise ValueError(f"a frame must have at most {CAPACITY} words, not {len(frame.words)}")
    body = bytes((frame.type, frame.sequence, len(frame.words))) + _bytes(frame.words)
    body += zlib.crc32(body).to_bytes(_CRC_BYTES, "little")
    line = bytearray((SYNC,))
    for byte in body:
        if byte in (SYNC, ESCAPE):
            line += bytes((ESCAPE, byte ^ ESCAPE_FLIP))
        else:
            line.append(byte)
    return bytes(line)


def _bytes(words: Sequence[int]) -> bytes:
    for word in words:
        if not 0 <= word < 1 << 32:
            raise ValueError(f"a payload must be of 32-bit words, not {word}")
    return b"".join(word.to_bytes(4, "little") for word in words)


class Decoder:
    """Finds frames in what comes over the line, whatever else is on it."""

    def __init__(self) -> None:
        self._body: bytearray | None = None  # None: waiting for SYNC
        self._escaped = False

    def feed(self, data: bytes) -> list[Frame]:
        """Take bytes as they come; return the frames that are whole, with their CRC right."""
        frames = []
        for byte in data:
            if byte == SYNC:
                self._body, self._escaped = bytearray(), False
            elif self._body is None:
                continue
            elif byte == ESCAPE:
                self._escaped = True
            else:
                self._body.append(byte ^ ESCAPE_FLIP if self._escaped else byte)
                self._escaped = False
                if (frame := self._whole(self._body)) is not None:
                    frames.append(frame)
        return frames

    def _whole(self, body: bytearray) -> Frame | None:
        """Return the frame if this was the last byte of one, and it is right."""
        if len(body) < _HEADER_BYTES:
            return None
        end = _HEADER_BYTES + 4 * body[2]
        if len(body) < end + _CRC_BYTES:
            return None
        self._body = None
        if int.from_bytes(body[end:], "little") != zlib.crc32(body[:end]):
            return None
        words = tuple(
            int.from_bytes(body[n : n + 4], "little") for n in range(_HEADER_BYTES, end, 4)
        )
        return Frame(body[0], body[1], words)
