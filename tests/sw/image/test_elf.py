# SPDX-License-Identifier: Apache-2.0
"""Guests: what goes into which cluster, and what is no guest."""

from pathlib import Path

import pytest

from blindvisor.sw.image.elf import GuestFileError, read_guest
from blindvisor.sw.image.format import ImageSizeError

SIZE = {"width": 2, "height": 2, "memory_bytes": 1024}


def test_segments_go_to_every_cluster_or_to_one(make_elf):
    path = make_elf(
        [
            (0xFF00_0000, b"code", 4),
            (0xFF00_0010, b"data", 100),  # the rest is zero and is not stored
            (0x1000_0200, b"east", 4),
            (0x0100_0008, b"south", 5),
        ]
    )
    shared = b"code" + bytes(12) + b"data"
    assert read_guest(path, **SIZE) == [
        shared,
        shared.ljust(0x200, b"\0") + b"east",
        b"code" + bytes(4) + b"south" + bytes(3) + b"data",
        shared,
    ]


@pytest.mark.parametrize(
    ("segments", "message"),
    [
        ([(0x2000_0000, b"x", 1)], r"cluster \(2, 0\), outside the VM of 2 x 2"),
        ([(0x0200_0000, b"x", 1)], r"cluster \(0, 2\), outside the VM of 2 x 2"),
        ([(0xFF00_03FF, b"xy", 2)], "ends at offset 0x401, outside the 1024 bytes"),
        ([(0xFF00_0000, b"x", 1025)], "ends at offset 0x401"),
        ([(0xFF80_0000, b"x", 1)], "outside the 1024 bytes of memory"),
        ([(0xFF00_0000, b"xy", 2), (0xFF00_0001, b"x", 1)], "overlap"),
        ([(0xFF00_0000, b"x", 9), (0x0000_0008, b"x", 1)], "0xff000000 and 0x00000008 overlap"),
    ],
)
def test_segments_must_fit(make_elf, segments, message):
    with pytest.raises(ImageSizeError, match=message):
        read_guest(make_elf(segments), **SIZE)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"machine": 62}, "must be a 32-bit little-endian RISC-V file, not .*EM_X86_64"),
        ({"order": ">"}, "not 32-bit big-endian EM_RISCV"),
        ({"kind": 3}, "must be linked .*ET_DYN"),
        ({"flags": 1}, "without compressed"),
        ({"flags": 4}, "without compressed or floating-point"),
        ({"entry": 0xFF00_0004}, "entry at 0xff000000.*not at 0xff000004"),
    ],
)
def test_other_files_are_no_guests(make_elf, options, message):
    with pytest.raises(GuestFileError, match=message):
        read_guest(make_elf([(0xFF00_0000, b"x", 1)], **options), **SIZE)


def test_file_without_segments_is_no_guest(make_elf):
    with pytest.raises(GuestFileError, match="nothing to load"):
        read_guest(make_elf([]), **SIZE)


@pytest.mark.parametrize("content", [b"", b"\x7fELF", b"#!/bin/sh\n" * 20])
def test_what_is_no_elf_file_is_refused(tmp_path: Path, content):
    path = tmp_path / "guest.elf"
    path.write_bytes(content)
    with pytest.raises(GuestFileError, match="must be an ELF file"):
        read_guest(path, **SIZE)


@pytest.mark.parametrize("length", range(20, 130, 7))
def test_cut_file_is_refused(make_elf, length):
    path = make_elf([(0xFF00_0000, b"x" * 60, 60)])
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(GuestFileError):
        read_guest(path, **SIZE)
