# SPDX-License-Identifier: Apache-2.0
"""``blindvisor console``: the hypervisor's shell of a board."""

import sys

import click

from blindvisor.hdl.config import load_configuration
from blindvisor.sw.cli.app import ExitCode
from blindvisor.sw.host.link import BAUD, UartLink
from blindvisor.sw.host.shell import Shell

__all__ = ["console"]


@click.command()
@click.option("--port", required=True, metavar="PORT", help="Serial port: /dev/ttyUSB0, COM3.")
@click.option("--baud", type=click.IntRange(1), default=BAUD, show_default=True)
@click.option(
    "--config", help="Machine that must be there: a name or a file; else any of the named ones."
)
def console(port: str, baud: int, config: str | None) -> int:
    """Drive a board: load encrypted images, start VMs, use their terminals.

    Commands come from the terminal, or as lines on standard input; then the first one that fails
    ends the script, with exit code 1. What VMs print is shown as `ttyN| line`.
    """
    wanted = None if config is None else load_configuration(config)
    with UartLink(port, wanted, baud=baud) as link:
        shell = Shell(link, stdin=sys.stdin, stdout=sys.stdout)
        if shell.interactive:
            click.echo(
                f"{link.config.name} on {port}: {link.config.width} x {link.config.height}"
                f" clusters at {link.clock_hz / 1e6:g} MHz"
            )
        shell.run()
    return ExitCode.CHECK_FAILED if shell.failed else ExitCode.OK
