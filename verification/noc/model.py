# SPDX-License-Identifier: Apache-2.0
"""The mesh's netlist around traffic made in C++."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blindvisor.hdl.noc.mesh import mesh_verilog
from blindvisor.sim.compiled import SimulatorError, compile_model
from blindvisor.verification.noc.patterns import Weights

__all__ = ["CLUSTERS", "MeshModel"]

CLUSTERS = 64
"""At most: the drop strobes of a mesh are one word of C++."""

_PROGRAM = Path(__file__).with_name("traffic.cpp")


@dataclass(frozen=True)
class MeshModel:
    """A compiled mesh with always-ready sinks.

    Members
    -------
    width, height : :class:`int`
        Of the mesh.
    executable : :class:`~pathlib.Path`
        What runs; its arguments are at the top of ``traffic.cpp``.
    """

    width: int
    height: int
    executable: Path

    @classmethod
    def build(
        cls, *, width: int, height: int, fifo_depth: int, verilog: str | None = None
    ) -> "MeshModel":
        """Compile a mesh, or take it from the cache.

        Parameters
        ----------
        width, height, fifo_depth : :class:`int`
            As for :class:`~blindvisor.hdl.noc.mesh.Mesh`.
        verilog : :class:`str`
            Another netlist with the same ports, for controls.

        Raises
        ------
        :exc:`ValueError`
            If the mesh has more than :data:`CLUSTERS` clusters.
        :exc:`~blindvisor.sim.compiled.SimulatorError`
            If Verilator is missing or refuses the mesh.
        """
        if width * height > CLUSTERS:
            raise ValueError(f"a mesh must have at most {CLUSTERS} clusters, not {width * height}")
        netlist = verilog or mesh_verilog(width=width, height=height, fifo_depth=fifo_depth)
        model = compile_model(
            netlist,
            sim="verilator",
            internals=False,
            fast=True,
            repeated="router" if "module router(" in netlist else None,
            program=_PROGRAM.read_text().replace("@PORTS@", _ports(width, height)),
        )
        return cls(width, height, model.folder / "model")

    def alone(self, flits: int) -> list[tuple[int, int, int]]:
        """Return sender, receiver and cycles of one packet at a time, for all pairs."""
        return [(a, b, cycles) for a, b, cycles in self._run("alone", flits)]

    def load(
        self,
        weights: Weights,
        *,
        flits: int,
        rate: float,
        warm_up: int,
        window: int,
        drain: int,
        seed: int,
    ) -> dict[str, Any]:
        """Offer traffic; return what ``traffic.cpp`` says about it.

        Parameters
        ----------
        weights : rows of numbers
            Who sends to whom.
        flits : :class:`int`
            Per packet.
        rate : :class:`float`
            Flits per cluster and cycle; 0: as much as goes in.
        warm_up, window, drain : :class:`int`
            Cycles before what is measured, cycles measured, and the most that it may take until
            all packets of the window have arrived.
        seed : :class:`int`
            Of the traffic.
        """
        rows = "\n".join(" ".join(map(repr, row)) for row in weights)
        return self._run("load", flits, rate, warm_up, window, drain, seed, given=rows)

    def _run(self, *arguments: object, given: str = "") -> Any:
        command = [str(self.executable), *map(str, arguments)]
        run = subprocess.run(command, input=given, capture_output=True, text=True, timeout=600)
        if run.returncode:
            raise SimulatorError(f"the mesh under {' '.join(command[1:])}: {run.stderr.strip()}")
        return json.loads(run.stdout)


def _ports(width: int, height: int) -> str:
    """C++ that makes the ports an array."""
    count = width * height
    names = ("in__{n}__valid", "in__{n}__ready", "out__{n}__valid", "out__{n}__ready")
    names += ("in__{n}__payload", "out__{n}__payload")
    lines = [
        f"enum {{ WIDTH = {width}, HEIGHT = {height}, COUNT = {count} }};",
        "struct Ports {",
        "    CData *in_valid, *in_ready, *out_valid, *out_ready;",
        "    QData *in_payload, *out_payload;",
        "};",
        "static void bind(Vtop *top, Ports *ports) {",
    ]
    for n in range(count):
        # Verilator writes the second of two underscores as its code.
        fields = (f"local_{name}".format(n=n).replace("__", "___05F") for name in names)
        lines.append(f"    ports[{n}] = {{{', '.join(f'&top->{field}' for field in fields)}}};")
    lines.append("}")
    return "\n".join(lines)
