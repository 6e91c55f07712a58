# SPDX-License-Identifier: Apache-2.0
"""``blindvisor generate``: Verilog of a machine, and what describes it."""

import hashlib
import json
from pathlib import Path

import click
from rich.console import Console

from blindvisor.hdl.config import ConfigurationError, load_configuration
from blindvisor.sw.cli.app import CommandError
from blindvisor.sw.files import write_whole
from blindvisor.sw.registers import render

__all__ = ["generate"]


@click.command()
@click.option(
    "--config",
    "source",
    default="reference",
    show_default=True,
    metavar="NAME|FILE",
    help="Named configuration, or a TOML file.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    metavar="FOLDER",
    help="Gets NAME.v, NAME.json and registers.md.",
)
@click.option("--json", "as_json", is_flag=True, help="Print what was written as JSON.")
def generate(source: str, output: Path, as_json: bool) -> None:
    """Write the Verilog of a machine, its JSON description and its register map.

    Equal configurations give identical files.
    """
    try:
        config = load_configuration(source)
    except ConfigurationError as error:
        raise CommandError(str(error)) from error

    # Late, because it loads the HDL and the core.
    from blindvisor.hdl import generate as gateware

    with Console(stderr=True).status(f"Generating {config.name} ..."):
        verilog = gateware.generate(config)
    output.mkdir(parents=True, exist_ok=True)
    written = {
        output / f"{config.name}.v": verilog,
        output / f"{config.name}.json": gateware.describe(config),
        output / "registers.md": render(),
    }
    for path, text in written.items():
        write_whole(path, text.encode())
    summary = {
        "top": gateware.TOP_MODULE,
        "files": [str(path) for path in written],
        "lines": verilog.count("\n"),
        "sha256": hashlib.sha256(verilog.encode()).hexdigest(),
    }
    if as_json:
        click.echo(json.dumps(summary))
        return
    for path in written:
        click.echo(f"wrote {path}")
    click.echo(f"top module {summary['top']}, {summary['lines']} lines, sha256 {summary['sha256']}")
