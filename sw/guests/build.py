# SPDX-License-Identifier: Apache-2.0
"""Compiles guests: one C file and the runtime make one ELF file.

The compiler comes from the ``ziglang`` package (``pip install blindvisor[guests]``). The output
depends on the sources and the compiler's version alone: no paths, no dates, no debug information.
"""

import argparse
import importlib.metadata
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

__all__ = [
    "BIN",
    "COMPILER_VERSION",
    "GUESTS",
    "BuildError",
    "build",
    "compiler_version",
    "main",
    "sources",
]

GUESTS = Path(__file__).parent
"""Folder of the guests' sources."""

BIN = GUESTS / "bin"
"""Folder of the committed ELF files."""

COMPILER_VERSION = "0.17.1"
"""Version of ``ziglang`` that the committed ELF files were built with."""

_RUNTIME = GUESTS / "runtime"
_INCLUDE = GUESTS / "include"

_FLAGS = (
    *("-target", "riscv32-freestanding-none", "-mcpu=generic_rv32", "-mabi=ilp32"),
    *("-std=c11", "-Os", "-Wall", "-Wextra"),
    # No library, no sanitizer, and loops of memcpy must not become calls of memcpy.
    *("-ffreestanding", "-fno-builtin", "-nostdlib", "-fno-sanitize=all", "-fno-stack-protector"),
    *("-fno-pic", "-fno-unwind-tables", "-fno-asynchronous-unwind-tables", "-fno-ident"),
    *("-ffunction-sections", "-fdata-sections", "-g0"),
)
_LINK_FLAGS = (
    "-static",
    "-Wl,--gc-sections",
    "-Wl,--build-id=none",
    "-Wl,-s",
    "-Wl,-z,norelro",
    "-Wl,-z,max-page-size=16",
)


class BuildError(Exception):
    """A guest could not be built; the message is the compiler's, or says what is missing."""


def compiler_version() -> str | None:
    """Return the version of the installed ``ziglang`` package, or None."""
    try:
        return importlib.metadata.version("ziglang")
    except importlib.metadata.PackageNotFoundError:
        return None


def sources() -> list[Path]:
    """Return the C files of this folder: one guest each."""
    return sorted(GUESTS.glob("*.c"))


def build(source: Path, output: Path, *, flags: Sequence[str] = ()) -> None:
    """Compile one guest.

    Parameters
    ----------
    source : :class:`~pathlib.Path`
        C file with a ``main``. Headers beside it are found.
    output : :class:`~pathlib.Path`
        ELF file to write; its folder must exist.
    flags : sequence of :class:`str`
        More flags for the compiler, for instance ``-DROUNDS=3``.

    Raises
    ------
    :exc:`BuildError`
        If there is no compiler, no such source, or the compiler refuses it.
    """
    if compiler_version() is None:
        raise BuildError("ziglang must be installed to build guests: pip install ziglang")
    if not source.is_file():
        raise BuildError(f"source must be a C file, not {source}")
    if not output.parent.is_dir():
        raise BuildError(f"output must be in a folder that exists, not {output}")
    with tempfile.TemporaryDirectory() as work:
        # Compiled from copies with fixed names: what the file names might leave is the same.
        for file in (*_RUNTIME.iterdir(), *_INCLUDE.iterdir()):
            shutil.copy(file, work)
        shutil.copy(source, Path(work) / "guest.c")
        command = [
            *(sys.executable, "-m", "ziglang", "cc", *_FLAGS, *_LINK_FLAGS, *flags),
            *("-I", ".", "-I", str(source.parent.resolve()), "-T", "link.ld", "-o", "guest.elf"),
            *("start.S", "runtime.c", "arithmetic.c", "guest.c"),
        ]
        result = subprocess.run(command, cwd=work, capture_output=True, text=True, check=False)
        if result.returncode or not (Path(work) / "guest.elf").is_file():
            raise BuildError(result.stderr.replace("guest.c", source.name).strip())
        if result.stderr:
            print(result.stderr.replace("guest.c", source.name), end="", file=sys.stderr)
        shutil.copyfile(Path(work) / "guest.elf", output)


def main(arguments: Sequence[str] | None = None) -> int:
    """Build the named C file, or all guests of this folder into ``bin/``."""
    parser = argparse.ArgumentParser(
        prog="python -m blindvisor.sw.guests.build", description=__doc__
    )
    parser.add_argument("source", nargs="?", type=Path, help="C file; without it: all guests")
    parser.add_argument("-o", dest="output", type=Path, help="ELF file (default: SOURCE.elf)")
    parser.add_argument("-D", dest="define", action="append", default=[], help="NAME or NAME=VALUE")
    parser.add_argument("--multiply", action="store_true", help="for cores with the M extension")
    options = parser.parse_args(arguments)
    if options.source is None and options.output is not None:
        parser.error("-o must come with a source")
    if options.source is None:
        jobs = [(source, BIN / f"{source.stem}.elf") for source in sources()]
    else:
        jobs = [(options.source, options.output or options.source.with_suffix(".elf"))]
    flags = [f"-D{name}" for name in options.define]
    if options.multiply:
        flags.append("-mcpu=generic_rv32+m")
    for source, output in jobs:
        try:
            build(source, output, flags=flags)
        except BuildError as error:
            print(f"{source.name}: {error}", file=sys.stderr)
            return 1
        print(f"{output.name}: {output.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
