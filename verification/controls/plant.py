# SPDX-License-Identifier: Apache-2.0
"""Plants a fault: makes a machine from a copy of the gateware's source in which a check is off.

The shipped hardware has no input and no parameter that could do the same.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from blindvisor.hdl.config import MachineConfig

__all__ = [
    "Edit",
    "Fault",
    "PlantError",
    "convert_with",
    "elaborate_with",
    "generate_with",
    "planted",
    "together",
]

HDL = Path(__file__).parents[2] / "hdl"


class PlantError(ValueError):
    """A fault that does not fit the source any more, or whose variant cannot be generated."""


@dataclass(frozen=True)
class Edit:
    """One replacement in one file.

    Parameters
    ----------
    file : :class:`str`
        Path under ``hdl/``.
    old, new : :class:`str`
        ``old`` must occur exactly once.
    """

    file: str
    old: str
    new: str

    def apply(self, text: str) -> str:
        """Return ``text`` with the replacement made.

        Raises
        ------
        :exc:`PlantError`
            If ``old`` does not occur exactly once, or nothing would change.
        """
        if (count := text.count(self.old)) != 1:
            raise PlantError(
                f"hdl/{self.file} must hold this text exactly once, not {count} times:\n{self.old}"
            )
        if self.old == self.new:
            raise PlantError(f"an edit of hdl/{self.file} must change something")
        return text.replace(self.old, self.new)


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A check that is switched off.

    Parameters
    ----------
    name : :class:`str`
        What ``--plant`` takes.
    promises : :class:`tuple` of :class:`str`
        Promises that no longer hold.
    breaks : :class:`str`
        What the machine does wrong then, one sentence.
    edits : :class:`tuple` of :class:`Edit`
        Where a promise is kept by several independent checks, an attack only succeeds without
        all of them, so a fault may need several edits.
    """

    name: str
    promises: tuple[str, ...]
    breaks: str
    edits: tuple[Edit, ...]


def together(faults: Sequence[Fault]) -> Fault:
    """Return one fault that is all of these: a variant costs its compilation only once.

    None of them may touch what another one's evidence looks at.
    """
    return Fault(
        name="+".join(fault.name for fault in faults),
        promises=tuple(dict.fromkeys(promise for fault in faults for promise in fault.promises)),
        breaks="; ".join(fault.breaks for fault in faults),
        edits=tuple(edit for fault in faults for edit in fault.edits),
    )


@contextmanager
def planted(fault: Fault) -> Iterator[Path]:
    """Return a folder from which ``blindvisor.hdl`` is imported with the fault.

    Raises
    ------
    :exc:`PlantError`
        If an edit does not match.
    """
    with tempfile.TemporaryDirectory(prefix="blindvisor-plant-") as name:
        root = Path(name)
        # No __init__.py in `blindvisor`: a namespace, so all other packages stay where they are.
        copy = root / "blindvisor" / "hdl"
        shutil.copytree(HDL, copy, ignore=shutil.ignore_patterns("__pycache__"))
        for edit in fault.edits:
            path = copy / edit.file
            if not path.is_file():
                raise PlantError(f"fault {fault.name}: there is no hdl/{edit.file}")
            try:
                path.write_text(edit.apply(path.read_text()))
            except PlantError as error:
                raise PlantError(f"fault {fault.name}: {error}") from None
        yield root


_PROLOGUE = """
import importlib, json, pathlib, sys
root, config, modules = pathlib.Path(sys.argv[1]), json.loads(sys.argv[2]), json.loads(sys.argv[3])
for name in modules:
    file = pathlib.Path(importlib.import_module(name).__file__)
    if not file.is_relative_to(root):
        sys.exit(f"{name} must come from {root}, not from {file}")
from blindvisor.hdl.config import MachineConfig
config = MachineConfig(**config)
"""

_GENERATE = """
from blindvisor.hdl.generate import generate
pathlib.Path(sys.argv[4]).write_text(generate(config))
"""

_CONVERT = """
from amaranth.back import verilog
from amaranth.hdl import UnusedElaboratable
import warnings
warnings.simplefilter("ignore", UnusedElaboratable)
output, block, parameters = json.loads(sys.argv[4])
module, _, component = block.partition(":")
made = getattr(importlib.import_module(module), component)
made = made(**parameters) if parameters else made(config)
text = verilog.convert(made, name="top", strip_internal_attrs=True)
pathlib.Path(output).write_text(text)
"""

_ELABORATE = """
from amaranth.back import rtlil
from amaranth.hdl import UnusedElaboratable
import warnings
warnings.simplefilter("ignore", UnusedElaboratable)
for name in json.loads(sys.argv[4]):
    module, _, component = name.partition(":")
    rtlil.convert(getattr(importlib.import_module(module), component)(config), name="top")
"""

_BLOCKS = {
    "arbiter.py": "blindvisor.hdl.cluster.tile:Tile",
    "cluster": "blindvisor.hdl.cluster.tile:Tile",
    "iocluster": "blindvisor.hdl.iocluster.monitor:Monitor",
    "iocluster/guard.py": "blindvisor.hdl.iocluster.guard:ChannelGuard",
    "iocluster/port.py": "blindvisor.hdl.iocluster.port:HypervisorPort",
    "iocluster/staging.py": "blindvisor.hdl.iocluster.staging:Staging",
    "ionet": "blindvisor.hdl.ionet.root:IoRoot",
    "ionet/node.py": "blindvisor.hdl.ionet.node:IoNode",
    "ionet/tree.py": "blindvisor.hdl.ionet.tree:IoTree",
    "loader": "blindvisor.hdl.loader.loader:Loader",
    "machine.py": "blindvisor.hdl.machine:Machine",
    "noc": "blindvisor.hdl.cluster.tile:Tile",
    "smmu": "blindvisor.hdl.smmu.smmu:Smmu",
}
"""The smallest block around a file, or around the files of a folder."""


def generate_with(fault: Fault, config: MachineConfig) -> str:
    """Return the Verilog of a machine with the fault planted.

    Raises
    ------
    :exc:`PlantError`
        If the fault does not fit the source, or the variant cannot be generated.
    """
    with planted(fault) as root:
        output = root / "machine.v"
        _run(fault, root, config, _GENERATE, str(output))
        return output.read_text()


def convert_with(fault: Fault, config: MachineConfig, block: str, **parameters: int) -> str:
    """Return the Verilog of one block with the fault planted; its top is ``top``.

    Parameters
    ----------
    block : :class:`str`
        ``module:Class`` of a component.
    parameters
        Its parameters; by default it takes ``config`` alone.

    Raises
    ------
    :exc:`PlantError`
        If the fault does not fit the source, or the variant cannot be generated.
    """
    with planted(fault) as root:
        output = root / "block.v"
        _run(fault, root, config, _CONVERT, json.dumps([str(output), block, parameters]))
        return output.read_text()


def elaborate_with(fault: Fault, config: MachineConfig) -> None:
    """Elaborate only the blocks that the fault touches: quick proof that the variant is hardware.

    Raises
    ------
    :exc:`PlantError`
        If it is not.
    """
    blocks = sorted(
        {_BLOCKS.get(edit.file) or _BLOCKS[edit.file.partition("/")[0]] for edit in fault.edits}
    )
    with planted(fault) as root:
        _run(fault, root, config, _ELABORATE, json.dumps(blocks))


def _run(fault: Fault, root: Path, config: MachineConfig, code: str, argument: str) -> None:
    modules = sorted({_module(edit.file) for edit in fault.edits} | {"blindvisor.hdl"})
    given = [str(root), json.dumps(config.as_dict()), json.dumps(modules), argument]
    path = os.pathsep.join(filter(None, (str(root), os.environ.get("PYTHONPATH"))))
    run = subprocess.run(
        [sys.executable, "-c", _PROLOGUE + code, *given],
        cwd=root,  # so that the working directory brings no other `blindvisor`
        env=os.environ | {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
    )
    if run.returncode:
        raise PlantError(
            f"the machine with the fault {fault.name} cannot be generated:\n{run.stderr}"
        )


def _module(file: str) -> str:
    return "blindvisor.hdl." + file.removesuffix(".py").replace("/", ".")
