# SPDX-License-Identifier: Apache-2.0
"""The command group, its commands loaded only when they are used, and how commands end."""

import importlib
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import click

__all__ = ["COMMANDS", "CommandError", "ExitCode", "Settings", "main", "settings"]

COMMANDS = {
    # name: (module, attribute, one line of help)
    "attack": ("blindvisor.sw.cli.attack", "attack", "Attack a machine, also with planted faults."),
    "attest": ("blindvisor.sw.cli.attest", "attest", "Check what a machine reports of a VM."),
    "bench": (
        "blindvisor.sw.cli.bench",
        "bench",
        "Measure simulation, loader, mesh, and what isolation costs.",
    ),
    "boards": ("blindvisor.sw.cli.build", "boards", "List the FPGA boards, and what was built."),
    "build": ("blindvisor.sw.cli.build", "build", "Make a bitstream for a board."),
    "campaign": (
        "blindvisor.sw.cli.campaign",
        "campaign_command",
        "Attacks, fuzzing and mutants on many processes or computers.",
    ),
    "console": ("blindvisor.sw.cli.console", "console", "Drive a board over its serial port."),
    "demo": ("blindvisor.sw.cli.demo", "demo", "Two encrypted guests, all attacks, one report."),
    "demo-save": (
        "blindvisor.sw.cli.demo_save",
        "demo_save",
        "A VM is saved, moved and attested; older states are refused.",
    ),
    "doctor": ("blindvisor.sw.cli.doctor", "doctor", "Show which tools are there and what to do."),
    "fuzz": (
        "blindvisor.sw.cli.fuzz",
        "fuzz_command",
        "Random hypervisors and guests on RTL, against the model.",
    ),
    "generate": ("blindvisor.sw.cli.generate", "generate", "Write the Verilog of a machine."),
    "image": ("blindvisor.sw.cli.image", "image", "Pack, inspect, verify, rewrap VM images."),
    "mutate": (
        "blindvisor.sw.cli.mutate",
        "mutate_command",
        "Count the small faults of a block that its proofs notice.",
    ),
    "promises": (
        "blindvisor.sw.cli.promises",
        "promises_command",
        "Show what is promised, the evidence, and the holes.",
    ),
    "prove": (
        "blindvisor.sw.cli.prove",
        "prove_command",
        "Prove the isolation, or plant faults and see the proofs fail.",
    ),
    "run": ("blindvisor.sw.cli.run", "run", "Boot encrypted images on RTL or on the model."),
}
"""All commands. A module is imported when its command is used, so none pays for another's."""


class ExitCode(IntEnum):
    """How every command ends."""

    OK = 0
    CHECK_FAILED = 1
    """It ran, and what it checked is not so (an image does not verify, an attack succeeded)."""
    BAD_INPUT = 2
    """Wrong usage, or an input that cannot be used."""
    MISSING_TOOL = 3
    """Something that the command needs is not installed; ``blindvisor doctor`` tells more."""
    INTERRUPTED = 130


class CommandError(click.ClickException):
    """Ends a command with one clear sentence on standard error."""

    def __init__(self, message: str, code: ExitCode = ExitCode.BAD_INPUT) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Options of the group itself."""

    verbose: int = 0


def settings() -> Settings:
    """Return the group's options, from inside a command."""
    found = click.get_current_context().find_object(Settings)
    return found if found is not None else Settings()


class _Commands(click.Group):
    """Group over :data:`COMMANDS`; its help imports none of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, attribute, _ = COMMANDS[cmd_name]
        return getattr(importlib.import_module(module), attribute)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name][2]) for name in self.list_commands(ctx)])


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done, 1 a check failed, 2 wrong usage or bad input, 3 a tool is missing,"
    " 130 interrupted.",
)
@click.option("-v", "--verbose", count=True, help="Show more; on errors, where they come from.")
@click.version_option(package_name="blindvisor")
@click.pass_context
def _group(context: click.Context, verbose: int) -> None:
    """Open manycore on which the hypervisor is blind: build it, run it, attack it."""
    context.obj = Settings(verbose=verbose)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code (:class:`ExitCode`).

    Errors that inputs can cause become one sentence on standard error. Anything else is a bug
    and keeps its traceback.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = _group.main(args=given, prog_name="blindvisor", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.ctx.get_help() if error.ctx is not None else error.format_message())
        return ExitCode.BAD_INPUT
    except click.UsageError as error:
        error.show()
        return ExitCode.BAD_INPUT
    except CommandError as error:
        return _report(given, error, error.format_message(), error.code)
    except click.ClickException as error:
        return _report(given, error, error.format_message(), error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted.", err=True)
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()  # nobody reads on: not a failure worth a message
        return ExitCode.OK
    except Exception as error:
        if not isinstance(error, _expected()):
            raise
        return _report(given, error, _sentence(error), ExitCode.BAD_INPUT)
    return code if isinstance(code, int) else ExitCode.OK


def _expected() -> tuple[type[Exception], ...]:
    """Exceptions that tell the user something about what was given."""
    from blindvisor.hdl.config import ConfigurationError
    from blindvisor.sim.store import StoreFileError
    from blindvisor.sw.hypervisor.errors import HypervisorError
    from blindvisor.sw.image.format import ImageError
    from blindvisor.sw.image.keys import KeyFileError

    return (
        OSError,
        ConfigurationError,
        HypervisorError,
        ImageError,
        KeyFileError,
        StoreFileError,
    )


def _sentence(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {(error.strerror or str(error)).lower()}"
    return str(error)


def _report(given: Sequence[str], error: Exception, message: str, code: int) -> int:
    if any(argument in ("-v", "--verbose") for argument in given):
        traceback.print_exception(error)
    click.echo(f"Error: {message}", err=True)
    return code
