# SPDX-License-Identifier: Apache-2.0
"""Builds the machines and images, and carries out one run at a time."""

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from blindvisor.hdl.config import MachineConfig
from blindvisor.sim.recording import Recording
from blindvisor.sim.session import compile_machine, run_scenario
from blindvisor.sw.image.elf import read_guest
from blindvisor.sw.image.pack import pack
from blindvisor.verification.attacks.runs import machine
from blindvisor.verification.isolation import scenario
from blindvisor.verification.isolation.guests import flooder
from blindvisor.verification.isolation.places import Rectangle, clusters, fill
from blindvisor.verification.isolation.scenario import WATCHED
from blindvisor.verification.isolation.traces import launched
from blindvisor.verification.isolation.variants import VARIANTS

__all__ = ["Lab", "Run"]

_BIN = Path(__file__).parents[2] / "sw" / "guests" / "bin"
_OUTSIDE = 4
"""Guest coordinates of no cluster at all that each flooder tries too."""


class Run(NamedTuple):
    """A victim's run: its cores' buses from the launch on, and the cycles recorded in all."""

    recording: Recording
    recorded: int
    said: str
    attackers: int
    calls: int


@dataclass
class Lab:
    """Machines of one configuration.

    Parameters
    ----------
    config : :class:`~blindvisor.hdl.config.MachineConfig`
        The machine.
    folder : :class:`~pathlib.Path`
        For images, recordings and logs.
    fast : :class:`bool`
        Whether to spend compile time on speed.
    """

    config: MachineConfig
    folder: Path
    fast: bool = True
    _root_key: bytes = field(default=bytes(range(32)), repr=False)

    def build(self, variant: str) -> str:
        """Return a variant's Verilog, once its simulator is built too."""
        verilog = machine(self.config, VARIANTS[variant])
        compile_machine(verilog, fast=self.fast, watched=WATCHED)
        return verilog

    def image(self, memories: Sequence[bytes], at: Rectangle) -> dict[str, Any]:
        """Return an image's file, with its place, as scenarios take it."""
        _, _, width, height = at
        name = hashlib.sha256(b"".join(memories)).hexdigest()[:16]
        file = self.folder / f"{width}x{height}-{name}.bvi"
        if not file.is_file():
            packed = pack(memories, width=width, height=height, root_key=self._root_key)
            file.write_bytes(packed)
        return {"image": str(file), "at": list(at)}

    def guest(self, name: str, at: Rectangle) -> dict[str, Any]:
        """Return the image of one of our guests."""
        _, _, width, height = at
        memory = self.config.memory_bytes
        memories = read_guest(_BIN / f"{name}.elf", width=width, height=height, memory_bytes=memory)
        return self.image(memories, at)

    def run(self, variant: str, function: str, params: dict[str, Any], *, seed: int = 1) -> Any:
        """Carry out a function of :mod:`~blindvisor.verification.isolation.scenario`."""
        return run_scenario(
            self.build(variant),
            f"{scenario.__name__}:{function}",
            params,
            config=self.config,
            root_key=self._root_key,
            build_dir=self.folder,
            fast=self.fast,
            seed=seed,
            watched=WATCHED,
        )

    def victim(
        self,
        variant: str,
        guest: str,
        at: Rectangle,
        *,
        seed: int | None = None,
        cycles: int | None = None,
    ) -> Run:
        """Run a guest, alone or among attackers.

        Parameters
        ----------
        variant, guest : :class:`str`
            Names.
        at : rectangle
            The guest's.
        seed : :class:`int`
            Of attackers and calls, and of what memory holds at power-on; None: alone.
        cycles : :class:`int`
            To record; None: until the guest has ended.
        """
        trace = self.folder / "trace"
        # Where packets of a VM leave its rectangle, one to a cluster without a running VM is never
        # answered, and stores would do more than take time.
        open_borders = variant == "leaky"
        attackers = self._attackers(at, seed, open_borders) if seed is not None else []
        told = self.run(
            variant,
            "run_victim",
            {
                "victim": self.guest(guest, at),
                "attackers": attackers,
                "first": not open_borders,
                "seed": seed,
                "clusters": clusters(self.config, at),
                "trace": str(trace),
                "cycles": cycles,
            },
            seed=1 if seed is None else 100 + seed,
        )
        whole = Recording.read(trace)
        trace.unlink()
        return Run(launched(whole), len(whole), told["said"], len(attackers), told["calls"])

    def _attackers(self, victim: Rectangle, seed: int, open_borders: bool) -> list[dict[str, Any]]:
        config = self.config
        rng = random.Random(seed)
        attackers = []
        for number, at in enumerate(fill(config, victim, rng)):
            x, y, width, height = at
            owned = clusters(config, at)
            others = clusters(config, victim) if open_borders else range(config.clusters)
            foreign = [
                ((n % config.width - x) % 16, (n // config.width - y) % 16)
                for n in others
                if n not in owned
            ]
            if not open_borders:
                foreign += [(rng.randrange(8, 15), rng.randrange(16)) for _ in range(_OUTSIDE)]
            tty = 1 + number if number + 1 < config.tty_channels else None
            memories = [
                flooder(
                    rng,
                    width=width,
                    height=height,
                    foreign=foreign,
                    stores=not open_borders,
                    channel=tty is not None,
                )
                for _ in owned
            ]
            attackers.append(self.image(memories, at) | {"tty": tty})
        return attackers
