# SPDX-License-Identifier: Apache-2.0
"""ELF files and machines for the tests of the software."""

import struct
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

EM_RISCV = 243
ET_EXEC = 2


@pytest.fixture
def root_key() -> bytes:
    return bytes(range(32))


@pytest.fixture
def make_elf(tmp_path: Path) -> Callable[..., Path]:
    """Writes an ELF32 file from ``(address, content, size in memory)`` segments."""

    def make(
        segments: Sequence[tuple[int, bytes, int]],
        *,
        entry: int = 0xFF00_0000,
        machine: int = EM_RISCV,
        flags: int = 0,
        kind: int = ET_EXEC,
        order: str = "<",
    ) -> Path:
        data = 1 if order == "<" else 2
        offset = 52 + 32 * len(segments)
        head = b"\x7fELF" + bytes([1, data, 1]) + bytes(9)
        head += struct.pack(
            order + "HHIIIIIHHHHHH",
            *(kind, machine, 1, entry, 52, 0, flags, 52, 32, len(segments), 40, 0, 0),
        )
        body = b""
        for address, content, size in segments:
            place = offset + len(body)
            head += struct.pack(order + "8I", 1, place, address, address, len(content), size, 7, 4)
            body += content
        path = tmp_path / "guest.elf"
        path.write_bytes(head + body)
        return path

    return make
