# SPDX-License-Identifier: Apache-2.0
"""Boards that bitstreams are made for, each described by a file in ``fpga/descriptions/``."""

import importlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blindvisor.fpga.devices import DEVICES, FAMILIES, Family, Usage
from blindvisor.hdl.config import CONFIGURATIONS, ConfigurationError, MachineConfig

__all__ = ["BOARDS_FOLDER", "Board", "BoardError", "board_names", "load_board"]

BOARDS_FOLDER = Path(__file__).parent / "descriptions"
DESIGNS = ("machine", "fabric")


class BoardError(ValueError):
    """A board that is not there, or whose description cannot be used."""


@dataclass(frozen=True, kw_only=True)
class Board:
    """One board and what goes onto it.

    Parameters
    ----------
    name, title : :class:`str`
        What it is called here, and what it says on the board.
    platform : :class:`str`
        ``module:Class`` of the amaranth platform.
    device, family : :class:`str`
        Of its FPGA: keys of :data:`DEVICES` and :data:`FAMILIES`.
    design : :class:`str`
        ``machine``: all of it, with a UART for the hypervisor; ``fabric``: mesh, SMMUs, I/O
        network and monitor with traffic masters instead of cores and loader.
    machine : :class:`MachineConfig`
        Sizes of either.
    clock_mhz : :class:`float`
        System clock: the board's oscillator, or what the PLL makes of it.
    oscillator_mhz : :class:`float`
        The board's oscillator.
    baud : :class:`int`
        Of the UART.
    synthesis, place : :class:`str`
        More options of the synthesis command and of nextpnr.
    program : :class:`str`
        Command that puts the bitstream onto the board.
    note : :class:`str`
        What else to know.
    """

    name: str
    title: str
    platform: str
    device: str
    family: str
    design: str
    machine: MachineConfig
    clock_mhz: float
    oscillator_mhz: float
    baud: int = 115_200
    synthesis: str = ""
    place: str = ""
    program: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        """Check what the flow relies on."""
        for name, value, known in (
            ("device", self.device, DEVICES),
            ("family", self.family, FAMILIES),
            ("design", self.design, DESIGNS),
        ):
            if value not in known:
                raise BoardError(
                    f"{name} of board {self.name} must be one of {', '.join(known)}, not {value}"
                )

    @property
    def capacity(self) -> Usage:
        """What the FPGA holds."""
        return DEVICES[self.device]

    @property
    def cells(self) -> Family:
        """How the family's cells count."""
        return FAMILIES[self.family]

    def make_platform(self) -> Any:
        """Return a new platform object; each serves one build.

        Raises
        ------
        :exc:`BoardError`
            If amaranth-boards is not installed, or has no such board.
        """
        module, _, name = self.platform.partition(":")
        try:
            return getattr(importlib.import_module(module), name)()
        except (ImportError, AttributeError) as error:
            raise BoardError(
                f"the platform {self.platform} of board {self.name} is not there:"
                " pip install -e '.[fpga]'"
            ) from error


def board_names() -> list[str]:
    """Return the names of all boards."""
    return sorted(path.stem for path in BOARDS_FOLDER.glob("*.toml"))


def load_board(name: str, *, machine: MachineConfig | None = None) -> Board:
    """Return a board, with its own machine or another.

    Raises
    ------
    :exc:`BoardError`
        If there is no such board, or its file has unknown keys or lacks some.
    :exc:`ConfigurationError`
        If its machine cannot be.
    """
    if name not in board_names():
        raise BoardError(f"board must be one of {', '.join(board_names())}, not {name}")
    values = tomllib.loads((BOARDS_FOLDER / f"{name}.toml").read_text())
    own = _machine(name, values.pop("machine", {}))
    try:
        return Board(name=name, machine=machine or own, **values)
    except TypeError as error:
        raise BoardError(f"board {name}: {str(error).partition(' ')[2]}") from error


def _machine(name: str, values: Mapping[str, Any]) -> MachineConfig:
    """Make the machine of a board's table ``[machine]``, which may have a ``base``."""
    given = dict(values)
    base = CONFIGURATIONS.get(given.pop("base", "reference"))
    if base is None:
        raise ConfigurationError(f"base of board {name} must be one of {', '.join(CONFIGURATIONS)}")
    try:
        whole: dict[str, Any] = base.as_dict() | {"name": name} | given
        return MachineConfig(**whole)
    except TypeError as error:
        raise ConfigurationError(f"machine of board {name}: {error}") from error
