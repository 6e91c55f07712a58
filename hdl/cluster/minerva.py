# SPDX-License-Identifier: Apache-2.0
"""Imports the Minerva core, which needs a package that no registry has.

Minerva is plain Amaranth, but takes its Wishbone signature and its memory map from
``amaranth_soc``, whose registry entry is an empty placeholder. The few names that it uses are
defined here and lent to it while it is imported.
"""

import importlib
import sys
import warnings
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pythondata_cpu_minerva
from amaranth.lib import enum, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["Minerva"]


class _CycleType(enum.Enum, shape=3):
    CLASSIC = 0b000
    INCR_BURST = 0b010
    END_OF_BURST = 0b111


class _WishboneSignature(wiring.Signature):
    """The part of a Wishbone master that Minerva drives."""

    def __init__(
        self, *, addr_width: int, data_width: int, granularity: int, features: tuple[str, ...]
    ) -> None:
        super().__init__(
            {
                "adr": Out(addr_width),
                "dat_w": Out(data_width),
                "dat_r": In(data_width),
                "sel": Out(data_width // granularity),
                "cyc": Out(1),
                "stb": Out(1),
                "we": Out(1),
                "ack": In(1),
                "err": In(1),
                "cti": Out(_CycleType),
                "bte": Out(2),
            }
        )


class _MemoryMap:
    """Names and addresses of control registers: as much as Minerva's register file asks for."""

    def __init__(self, *, addr_width: int, data_width: int) -> None:
        self.addr_width = addr_width
        self._resources: list[tuple[Any, tuple[str], tuple[int, int]]] = []
        self._windows: list[tuple[_MemoryMap, tuple[str, ...], tuple[str, int]]] = []

    def freeze(self) -> None:
        pass

    def add_resource(self, resource: Any, *, addr: int, name: str, size: int) -> None:
        self._resources.append((resource, (name,), (addr, addr + size)))

    def resources(self) -> Iterator[tuple[Any, tuple[str], tuple[int, int]]]:
        return iter(self._resources)

    def add_window(self, window: "_MemoryMap", *, addr: int, name: tuple[str, ...]) -> None:
        fixed = self.addr_width - window.addr_width
        pattern = f"{addr >> window.addr_width:0{fixed}b}" + "-" * window.addr_width
        self._windows.append((window, name, (pattern, 1)))

    def window_patterns(self) -> Iterator[tuple["_MemoryMap", tuple[str, ...], tuple[str, int]]]:
        return iter(self._windows)


def _module(name: str, **members: Any) -> ModuleType:
    module = ModuleType(name)
    module.__dict__.update(members)
    return module


def _import() -> Any:
    bus = _module("amaranth_soc.wishbone.bus", CycleType=_CycleType)
    wishbone = _module(
        "amaranth_soc.wishbone", Signature=_WishboneSignature, CycleType=_CycleType, bus=bus
    )
    memory = _module("amaranth_soc.memory", MemoryMap=_MemoryMap)
    lent = {
        "amaranth_soc": _module("amaranth_soc", wishbone=wishbone, memory=memory),
        "amaranth_soc.wishbone": wishbone,
        "amaranth_soc.wishbone.bus": bus,
        "amaranth_soc.memory": memory,
    }
    found = {name: sys.modules.get(name) for name in lent}
    sys.modules.update(lent)
    sys.path.insert(0, pythondata_cpu_minerva.data_location)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Minerva's, not ours
            core = importlib.import_module("minerva.core")
    finally:
        sys.path.remove(pythondata_cpu_minerva.data_location)
        for name, module in found.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module
    return core.Minerva


Minerva = _import()
