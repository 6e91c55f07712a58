# SPDX-License-Identifier: Apache-2.0
"""``blindvisor attest``: the verifier's side of attestation."""

import json
from pathlib import Path
from typing import Any

import click

from blindvisor.sw.cli.app import CommandError, ExitCode
from blindvisor.sw.image.format import IDENTITY_BYTES, MEASUREMENT_BYTES, ImageError
from blindvisor.sw.image.keys import (
    MACHINE_BYTES,
    machine_identity,
    read_key_file,
    report_key,
    write_key_file,
)
from blindvisor.sw.image.pack import unpack
from blindvisor.sw.image.report import REPORT_NONCE_BYTES, Report, ReportError, read_report

__all__ = ["attest"]

_FILE = click.Path(path_type=Path, dir_okay=False)


class _Hex(click.ParamType):
    """So many bytes as hexadecimal digits."""

    name = "hex"

    def __init__(self, size: int) -> None:
        self._size = size

    def convert(self, value: Any, param: Any, ctx: Any) -> bytes:
        if isinstance(value, bytes):
            return value
        try:
            data = bytes.fromhex(value)
        except ValueError:
            data = b""
        if len(data) != self._size:
            self.fail(f"must be {2 * self._size} hexadecimal digits, not {value!r}", param, ctx)
        return data


@click.group()
def attest() -> None:
    """Check reports: what was launched, on which machine, for whose nonce."""


@attest.command()
@click.option(
    "--device-key",
    type=_FILE,
    required=True,
    metavar="KEYFILE",
    help="Root key of the device, from `blindvisor image keygen`.",
)
@click.option("-o", "--output", type=_FILE, required=True, metavar="REPORTKEY")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def key(device_key: Path, output: Path, as_json: bool) -> None:
    """Derive the report key that verifiers of a device hold, and tell the device's name.

    Who has it can check that device's reports, and forge them; it opens no image.
    A file that is there already is never replaced.
    """
    root_key = read_key_file(device_key)
    write_key_file(output, report_key(root_key))
    machine = machine_identity(root_key).hex()
    click.echo(json.dumps({"machine": machine}) if as_json else f"machine {machine}")


@attest.command()
@click.argument("source", type=_FILE, metavar="REPORT")
@click.option(
    "--report-key",
    "key_file",
    type=_FILE,
    required=True,
    metavar="REPORTKEY",
    help="From `blindvisor attest key`.",
)
@click.option("--nonce", type=_Hex(REPORT_NONCE_BYTES), help="What the guest was given, 32 bytes.")
@click.option("--measurement", type=_Hex(MEASUREMENT_BYTES), help="Of `blindvisor image measure`.")
@click.option("--image", type=_FILE, help="Image that must have been launched; with --device-key.")
@click.option("--device-key", type=_FILE, metavar="KEYFILE", help="Opens --image.")
@click.option("--identity", type=_Hex(IDENTITY_BYTES), help="Name of the VM, 16 bytes.")
@click.option("--machine", type=_Hex(MACHINE_BYTES), help="Name of the device, 16 bytes.")
@click.option("--width", type=click.IntRange(1, 16), help="Clusters per row.")
@click.option("--height", type=click.IntRange(1, 16), help="Clusters per column.")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def verify(
    source: Path,
    key_file: Path,
    image: Path | None,
    device_key: Path | None,
    as_json: bool,
    **expected: Any,
) -> None:
    """Check a report: its MAC, and that it says what is expected.

    What no option asks for is shown and not judged; a report whose nonce was not asked for may be
    an old one. Ends with 0 if all fits, and with 1 and the first field that does not.
    """
    if (image is None) != (device_key is None):
        raise CommandError("--image and --device-key must be given together")
    if image is not None and device_key is not None:
        expected = _of_image(image, device_key, expected)
    try:
        report = read_report(source.read_bytes(), key=read_key_file(key_file), **expected)
    except ReportError as error:
        if as_json:
            click.echo(json.dumps({"ok": False, "field": error.field, "why": str(error)}))
        raise CommandError(f"{source}: {error}", ExitCode.CHECK_FAILED) from error
    if as_json:
        click.echo(json.dumps({"ok": True, "report": report.as_dict()}))
        return
    _show(report, expected)


def _of_image(image: Path, device_key: Path, expected: dict[str, Any]) -> dict[str, Any]:
    """Add what the image says; what was asked for besides must be the same."""
    try:
        unpacked = unpack(image.read_bytes(), root_key=read_key_file(device_key))
    except ImageError as error:
        raise CommandError(f"{image}: {error}") from error
    header = unpacked.header
    told = {
        "measurement": unpacked.measurement,
        "identity": header.identity,
        "width": header.width,
        "height": header.height,
        "security_version": header.security_version,
    }
    for name, value in told.items():
        if expected.get(name) not in (None, value):
            raise CommandError(f"--{name} must be that of the image, if --image is given")
    return expected | told


def _show(report: Report, expected: dict[str, Any]) -> None:
    values = report.as_dict()
    longest = max(map(len, values))
    for name, value in values.items():
        text = ", ".join(value) or "none" if isinstance(value, list) else value
        judged = "  as expected" if expected.get(name) is not None else ""
        click.echo(f"{name.replace('_', ' '):<{longest}}  {text}{judged}")
    if expected.get("nonce") is None:
        click.echo("Warning: without --nonce, an old report looks like a new one", err=True)
