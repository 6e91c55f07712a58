# SPDX-License-Identifier: Apache-2.0
"""``blindvisor image``: keys and encrypted VM images."""

import dataclasses
import json
from pathlib import Path

import click

from blindvisor.hdl.config import load_configuration
from blindvisor.sw.cli.app import CommandError, ExitCode
from blindvisor.sw.files import write_whole
from blindvisor.sw.image.elf import read_guest
from blindvisor.sw.image.format import (
    HEADER_BYTES,
    IDENTITY_BYTES,
    Flags,
    Header,
    ImageError,
    check_total,
)
from blindvisor.sw.image.keys import generate_key_file, read_key_file
from blindvisor.sw.image.pack import pack, rewrap, unpack

__all__ = ["image"]

_FILE = click.Path(path_type=Path, dir_okay=False)
_DEVICE_KEY = click.option(
    "--device-key",
    type=_FILE,
    required=True,
    metavar="KEYFILE",
    help="Root key of the device, from `blindvisor image keygen`.",
)


@click.group()
def image() -> None:
    """Pack, inspect, verify, measure and rewrap encrypted VM images."""


@image.command()
@click.option("-o", "--output", type=_FILE, required=True, metavar="KEYFILE")
def keygen(output: Path) -> None:
    """Make a device root key: 32 random bytes as hexadecimal text, for its owner's eyes alone.

    A file that is there already is never replaced.
    """
    generate_key_file(output)


@image.command("pack")
@click.argument("guest", type=_FILE, metavar="GUEST.elf")
@click.option("--width", type=click.IntRange(1, 16), required=True, help="Clusters per row.")
@click.option("--height", type=click.IntRange(1, 16), required=True, help="Clusters per column.")
@_DEVICE_KEY
@click.option("-o", "--output", type=_FILE, required=True, metavar="IMAGE")
@click.option("--identity", metavar="HEX", help="Name of the VM, 16 bytes; default: random.")
@click.option(
    "--security-version",
    type=click.IntRange(0, 2**32 - 1),
    default=0,
    help="A machine that has accepted a higher one of this identity refuses the image.",
)
@click.option(
    "--migrate",
    is_flag=True,
    help="Saved states of this VM may be packed for another device (`rewrap`).",
)
@click.option("--memory-bytes", type=click.IntRange(1024, 1 << 20), help="Memory of a cluster.")
@click.option(
    "--config",
    default="reference",
    show_default=True,
    help="Machine whose memory size counts, unless --memory-bytes is given: a name or a file.",
)
def pack_command(
    guest: Path,
    width: int,
    height: int,
    device_key: Path,
    output: Path,
    identity: str | None,
    security_version: int,
    migrate: bool,
    memory_bytes: int | None,
    config: str,
) -> None:
    """Encrypt a guest for one device.

    Segments at 0xFFxx_xxxx go into every cluster, segments at guest coordinates (gx, gy) into
    that cluster alone. Key and nonces are fresh each time.
    """
    if memory_bytes is None:
        memory_bytes = load_configuration(config).memory_bytes
    packed = pack(
        read_guest(guest, width=width, height=height, memory_bytes=memory_bytes),
        width=width,
        height=height,
        root_key=read_key_file(device_key),
        identity=_identity(identity),
        security_version=security_version,
        migrate=migrate,
    )
    write_whole(output, packed)


@image.command()
@click.argument("source", type=_FILE, metavar="IMAGE")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def inspect(source: Path, as_json: bool) -> None:
    """Show an image's header. Needs no key, proves nothing: see `verify`."""
    data = source.read_bytes()
    try:
        check_total(len(data))
        header = Header.from_bytes(data[:HEADER_BYTES])
        header.check_geometry()
        header.check_length(len(data))
    except ImageError as error:
        raise CommandError(f"{source}: {error}") from error
    shown = _shown(header)
    if as_json:
        click.echo(json.dumps(shown, indent=2))
        return
    longest = max(map(len, shown))
    for name, value in shown.items():
        text = ", ".join(value) or "none" if isinstance(value, list) else value
        click.echo(f"{name.replace('_', ' '):<{longest}}  {text}")


@image.command()
@click.argument("source", type=_FILE, metavar="IMAGE")
@_DEVICE_KEY
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def verify(source: Path, device_key: Path, as_json: bool) -> None:
    """Check that a device would accept an image: header, sizes, key and contents.

    Ends with 0 if so and with 1 if not.
    """
    root_key = read_key_file(device_key)
    data = source.read_bytes()
    try:
        unpacked = unpack(data, root_key=root_key)
    except ImageError as error:
        if as_json:
            click.echo(json.dumps({"ok": False, "result": error.result.name, "why": str(error)}))
        raise CommandError(f"{source}: {error}", ExitCode.CHECK_FAILED) from error
    header = unpacked.header
    measured = unpacked.measurement.hex()
    if as_json:
        shown = {"ok": True, "result": "OK", "header": _shown(header), "measured": measured}
        click.echo(json.dumps(shown))
        return
    kind = f", saved state {header.generation}" if header.saved else ""
    click.echo(
        f"{source}: good, {header.width} x {header.height} clusters{kind}, measurement {measured}"
    )


@image.command()
@click.argument("source", type=_FILE, metavar="IMAGE")
@_DEVICE_KEY
def measure(source: Path, device_key: Path) -> None:
    """Print the measurement that a report of this image's VM will hold.

    It is SHA-256 of the contents in clear; a saved image has that of the image that its VM was
    first launched from.
    """
    try:
        unpacked = unpack(source.read_bytes(), root_key=read_key_file(device_key))
    except ImageError as error:
        raise CommandError(f"{source}: {error}", ExitCode.CHECK_FAILED) from error
    click.echo(unpacked.measurement.hex())


@image.command("rewrap")
@click.argument("source", type=_FILE, metavar="IMAGE")
@_DEVICE_KEY
@click.option(
    "--new-device-key",
    type=_FILE,
    required=True,
    metavar="KEYFILE",
    help="Root key of the device that the image shall be for.",
)
@click.option("-o", "--output", type=_FILE, required=True, metavar="IMAGE")
def rewrap_command(source: Path, device_key: Path, new_device_key: Path, output: Path) -> None:
    """Make an image for another device of one for this device.

    Identity, versions and contents stay; key and nonces are fresh. Ends with 1, and writes nothing,
    if this device would not accept the image, or if it is a saved state of a VM that was packed
    without --migrate.
    """
    root_key, new_root_key = read_key_file(device_key), read_key_file(new_device_key)
    try:
        wrapped = rewrap(source.read_bytes(), root_key=root_key, new_root_key=new_root_key)
    except ImageError as error:
        raise CommandError(f"{source}: {error}", ExitCode.CHECK_FAILED) from error
    write_whole(output, wrapped)


def _identity(text: str | None) -> bytes | None:
    if text is None:
        return None
    try:
        value = bytes.fromhex(text)
    except ValueError:
        value = b""
    if len(value) != IDENTITY_BYTES:
        raise CommandError(
            f"--identity must be {2 * IDENTITY_BYTES} hexadecimal digits, not {text!r}"
        )
    return value


def _shown(header: Header) -> dict[str, str | int | list[str]]:
    fields = dataclasses.asdict(header) | {
        "flags": [str(flag.name) for flag in Flags if flag in header.flags],
        "image_bytes": header.image_bytes,
    }
    return {
        name: value.hex() if isinstance(value, bytes) else value for name, value in fields.items()
    }
