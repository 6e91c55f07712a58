# SPDX-License-Identifier: Apache-2.0
"""What a machine looks like: one validated, immutable description, and few named ones."""

import tomllib
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

__all__ = [
    "CONFIGURATIONS",
    "CORES",
    "ConfigurationError",
    "MachineConfig",
    "load_configuration",
]

CORES = ("minerva", "vexriscv")
"""Processor cores that there is an adapter for."""


class ConfigurationError(ValueError):
    """A machine description that no machine can be made from."""


@dataclass(frozen=True, kw_only=True)
class MachineConfig:
    """One machine.

    Parameters
    ----------
    name : :class:`str`
        What reports call it.
    width, height : :class:`int`
        Compute clusters per row and per column of the mesh, 1 to 16.
    cores : :class:`int`
        Cores per cluster, 1 to 4.
    memory_bytes : :class:`int`
        Local memory of a cluster in bytes: a power of two from 1 KiB to 1 MiB.
    core : :class:`str`
        One of :data:`CORES`: ``minerva`` has precise access faults; ``vexriscv`` is smaller, and
        gets zero data and an interrupt instead (docs/decisions/0008-smaller-core.md).
    multiply : :class:`bool`
        Whether the cores have the M extension; ``minerva`` alone can.
    fifo_depth : :class:`int`
        Flits per router input, 2 to 16.
    vms : :class:`int`
        VM slots of the monitor, 1 to 255. VM numbers run from 1 to ``vms``; 0 means nobody.
    tty_channels, mailbox_channels, attest_channels : :class:`int`
        Physical I/O channels by kind; 1 to 16 together, numbered in this order. At most one of
        the last.
    guest_channels : :class:`int`
        Channel numbers a VM can use, 1 to 16; each is a page of its I/O window.
    channel_depth : :class:`int`
        Words that one direction of a channel buffers: a power of two from 2 to 1024.
    staging_words : :class:`int`
        Words of image that the hypervisor can place ahead of the loader: a power of two from 4
        to 16384.
    store_rows : :class:`int`
        VM identities whose versions the machine remembers, 1 to 256.
    loader_sboxes, loader_digit : :class:`int`
        Rate against area of the loader's engine (docs/loader.md): 4, 8, 16, 32 or 64, and a power
        of two from 1 to 64. Below 32 and 16 it is slower than the monitor lane.

    Raises
    ------
    :exc:`ConfigurationError`
        If a value is out of range; the message names it, its range and what was given.
    """

    name: str
    width: int
    height: int
    cores: int = 1
    memory_bytes: int = 16 * 1024
    core: str = "minerva"
    multiply: bool = False
    fifo_depth: int = 16  # block and LUT RAM of FPGAs come 16 deep at the cost of 2
    vms: int = 8
    tty_channels: int = 4
    mailbox_channels: int = 2
    attest_channels: int = 0
    guest_channels: int = 4
    channel_depth: int = 16
    staging_words: int = 512
    store_rows: int = 16
    loader_sboxes: int = 32
    loader_digit: int = 16

    def __post_init__(self) -> None:
        """Check everything that can be wrong."""
        for name, low, high in (
            ("width", 1, 16),
            ("height", 1, 16),
            ("cores", 1, 4),
            ("memory_bytes", 1024, 1 << 20),
            ("fifo_depth", 2, 16),
            ("vms", 1, 255),
            ("tty_channels", 0, 16),
            ("mailbox_channels", 0, 16),
            ("attest_channels", 0, 1),
            ("guest_channels", 1, 16),
            ("channel_depth", 2, 1024),
            ("staging_words", 4, 16384),
            ("store_rows", 1, 256),
            ("loader_sboxes", 4, 64),
            ("loader_digit", 1, 64),
        ):
            value = getattr(self, name)
            if type(value) is not int:
                raise ConfigurationError(f"{name} must be an integer, not {value!r}")
            if not low <= value <= high:
                raise ConfigurationError(f"{name} must be from {low} to {high}, not {value}")
        powers = ("memory_bytes", "channel_depth", "staging_words", "loader_sboxes", "loader_digit")
        for name in powers:
            value = getattr(self, name)
            if value & (value - 1):
                raise ConfigurationError(f"{name} must be a power of two, not {value}")
        if not isinstance(self.name, str) or not self.name:
            raise ConfigurationError(f"name must be a non-empty string, not {self.name!r}")
        if type(self.multiply) is not bool:
            raise ConfigurationError(f"multiply must be true or false, not {self.multiply!r}")
        if self.core not in CORES:
            raise ConfigurationError(f"core must be one of {', '.join(CORES)}, not {self.core!r}")
        if self.multiply and self.core != "minerva":
            raise ConfigurationError(f"multiply must be false with the core {self.core}")
        if not 1 <= self.channels <= 16:
            raise ConfigurationError(
                f"tty_channels, mailbox_channels and attest_channels together must be from 1 to"
                f" 16, not {self.channels}"
            )

    @property
    def clusters(self) -> int:
        """Compute clusters of the mesh. Cluster (x, y) has the index ``y * width + x``."""
        return self.width * self.height

    @property
    def channels(self) -> int:
        """Physical I/O channels."""
        return self.tty_channels + self.mailbox_channels + self.attest_channels

    @property
    def memory_words(self) -> int:
        """32-bit words of one cluster's memory."""
        return self.memory_bytes // 4

    def as_dict(self) -> dict[str, Any]:
        """All values by name, as a TOML file would hold them."""
        return asdict(self)


CONFIGURATIONS = {
    config.name: config
    for config in (
        MachineConfig(name="reference", width=4, height=4, attest_channels=1),
        MachineConfig(name="small", width=2, height=2, attest_channels=1),
        MachineConfig(name="dual", width=2, height=2, cores=2, attest_channels=1),
        MachineConfig(name="single", width=1, height=1, vms=1, tty_channels=1, mailbox_channels=1),
    )
}
"""The named configurations."""


def load_configuration(source: str | Path) -> MachineConfig:
    """Return a named configuration, or the one that a TOML file describes.

    A file may hold ``base = "NAME"``; its other keys then replace those of that configuration.

    Raises
    ------
    :exc:`ConfigurationError`
        If there is no such name or file, a key is unknown or missing, or a value is out of range.
    """
    if (named := CONFIGURATIONS.get(str(source))) is not None:
        return named
    path = Path(source)
    if not path.is_file():
        raise ConfigurationError(
            f"configuration must be one of {', '.join(CONFIGURATIONS)} or a TOML file, not {source}"
        )
    try:
        values = tomllib.loads(path.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} must be TOML: {error}") from error
    merged: dict[str, Any] = {"name": path.stem}
    if "base" in values:
        base = CONFIGURATIONS.get(str(values.pop("base")))
        if base is None:
            raise ConfigurationError(f"base in {path} must be one of {', '.join(CONFIGURATIONS)}")
        merged = base.as_dict() | merged
    known = {field.name for field in fields(MachineConfig)}
    if unknown := sorted(values.keys() - known):
        raise ConfigurationError(
            f"{path} has the unknown key {unknown[0]!r}; known are {', '.join(sorted(known))}"
        )
    merged |= values
    if missing := sorted({"width", "height"} - merged.keys()):
        raise ConfigurationError(f"{path} must give {missing[0]} (or a base)")
    return MachineConfig(**merged)
