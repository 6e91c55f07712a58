# SPDX-License-Identifier: Apache-2.0
"""Reads a guest's ELF file into the memories of its VM's clusters."""

from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.segments import Segment

from blindvisor.hdl.abi import OWN_CLUSTER
from blindvisor.sw.image.format import ImageError, ImageSizeError

__all__ = ["RESET_ADDRESS", "GuestFileError", "read_guest"]

RESET_ADDRESS = OWN_CLUSTER << 24
"""Where every core starts."""

_COMPRESSED = 0x1  # e_flags of the RISC-V ELF psABI
_FLOAT_ABI = 0x6


class GuestFileError(ImageError):
    """The file is no guest for this machine."""


def read_guest(path: Path, *, width: int, height: int, memory_bytes: int) -> list[bytes]:
    """Return what each cluster's memory starts with, row by row.

    A loadable segment at ``0xFFxx_xxxx`` goes to every cluster, one at the guest coordinates
    (gx, gy) to that cluster alone. Physical addresses count, as for every boot loader.

    Parameters
    ----------
    path : :class:`~pathlib.Path`
        The ELF file.
    width, height : :class:`int`
        Rectangle of the VM in clusters.
    memory_bytes : :class:`int`
        Memory of a cluster.

    Raises
    ------
    :exc:`GuestFileError`
        If it is no ELF file of a 32-bit little-endian RISC-V that these cores are.
    :exc:`~blindvisor.sw.image.format.ImageSizeError`
        If a segment lies outside the VM or its memory, or over another one.
    """
    with path.open("rb") as file:
        try:
            elf = ELFFile(file)
            _check_machine(path, elf)
            segments = [
                (segment["p_paddr"], segment["p_memsz"], _content(path, segment))
                for segment in elf.iter_segments("PT_LOAD")
                if segment["p_memsz"]
            ]
        except ELFError as error:
            raise GuestFileError(f"{path} must be an ELF file: {error}") from error
    if not segments:
        raise GuestFileError(f"{path} has nothing to load")
    memories = [_Memory() for _ in range(width * height)]
    for address, size, content in segments:
        gx, gy, offset = address >> 28, address >> 24 & 0xF, address & 0xFF_FFFF
        everywhere = address >> 24 == OWN_CLUSTER
        if not everywhere and (gx >= width or gy >= height):
            raise ImageSizeError(
                f"{path}: the segment at {address:#010x} is in cluster ({gx}, {gy}), outside the"
                f" VM of {width} x {height}"
            )
        if offset + size > memory_bytes:
            raise ImageSizeError(
                f"{path}: the segment at {address:#010x} ends at offset {offset + size:#x},"
                f" outside the {memory_bytes} bytes of memory"
            )
        if len(content) > size:
            raise GuestFileError(
                f"{path}: the segment at {address:#010x} has {len(content)} bytes for {size}"
            )
        for memory in memories if everywhere else [memories[gy * width + gx]]:
            memory.place(path, address, offset, size, content)
    return [bytes(memory.data) for memory in memories]


class _Memory:
    """One cluster's memory while it is filled."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.taken: list[tuple[int, int, int]] = []  # first, last + 1, address

    def place(self, path: Path, address: int, offset: int, size: int, content: bytes) -> None:
        for first, last, other in self.taken:
            if offset < last and first < offset + size:
                raise ImageSizeError(
                    f"{path}: the segments at {other:#010x} and {address:#010x} overlap"
                )
        self.taken.append((offset, offset + size, address))
        # What a segment only reserves stays out: a cluster's memory is zero before a load (P5).
        end = offset + len(content)
        self.data.extend(bytes(max(0, end - len(self.data))))
        self.data[offset:end] = content


def _content(path: Path, segment: Segment) -> bytes:
    content, size = segment.data(), segment["p_filesz"]
    if len(content) != size:
        raise GuestFileError(
            f"{path} is cut short: the segment at {segment['p_paddr']:#010x} has {len(content)}"
            f" of {size} bytes"
        )
    return content


def _check_machine(path: Path, elf: ELFFile) -> None:
    if elf.elfclass != 32 or not elf.little_endian or elf["e_machine"] != "EM_RISCV":
        raise GuestFileError(
            f"{path} must be a 32-bit little-endian RISC-V file, not {elf.elfclass}-bit"
            f" {'little' if elf.little_endian else 'big'}-endian {elf['e_machine']}"
        )
    if elf["e_type"] != "ET_EXEC":
        raise GuestFileError(f"{path} must be linked (ET_EXEC), not {elf['e_type']}")
    if elf["e_flags"] & (_COMPRESSED | _FLOAT_ABI):
        raise GuestFileError(
            f"{path} must be built for rv32i or rv32im, without compressed or floating-point"
            " instructions"
        )
    if elf["e_entry"] != RESET_ADDRESS:
        raise GuestFileError(
            f"{path} must have its entry at {RESET_ADDRESS:#010x}, where every core starts,"
            f" not at {elf['e_entry']:#010x}"
        )
