# SPDX-License-Identifier: Apache-2.0
"""Registers and parts inside a component, for invariants that its ports cannot state."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from threading import RLock, get_ident
from types import ModuleType
from typing import Any
from unittest.mock import patch

from amaranth import Signal
from amaranth.hdl import Fragment
from amaranth.hdl._ast import SignalKey  # in the order in which they were made
from amaranth.lib import wiring

__all__ = ["opened", "replaced", "states"]

_replacing = RLock()

_UNNAMED = "$signal"


def opened(component: wiring.Component) -> tuple[Any, dict[str, Signal]]:
    """Elaborate a component.

    Returns
    -------
    The fragment, to be placed instead of the component, and its clocked signals by dotted name.
    Those to which Amaranth gave no name are called ``$signal``, ``$signal1`` and so on in each
    module, in the order in which they were made.

    Raises
    ------
    :exc:`ValueError`
        If two registers of one module have the same name.
    """
    fragment = Fragment.get(component, None)
    registers: dict[str, Signal] = {}
    _collect(fragment, "", registers)
    return fragment, registers


def _collect(fragment: Any, prefix: str, registers: dict[str, Signal]) -> None:
    unnamed: dict[int, Signal] = {}
    for statement in fragment.statements.get("sync", ()):
        for signal in statement._lhs_signals():
            if signal.name == _UNNAMED:
                unnamed[id(signal)] = signal
                continue
            name = prefix + signal.name
            if registers.setdefault(name, signal) is not signal:
                raise ValueError(f"registers must have names of their own, and two are {name}")
    ordered = sorted(unnamed.values(), key=SignalKey)
    for n, signal in enumerate(ordered):
        registers[f"{prefix}{_UNNAMED}{n or ''}"] = signal
    for subfragment, name, _ in fragment.subfragments:
        _collect(subfragment, f"{prefix}{name}.", registers)


def states(register: Signal) -> dict[str, int]:
    """Return the encoding of the state register of an ``m.FSM()``, by the states' names.

    Raises
    ------
    :exc:`ValueError`
        If it is none.
    """
    names: dict[str, int] = {}
    for number in range(1 << len(register)):
        try:
            name, _, code = str(register.decoder(number)).rpartition("/")  # pyright: ignore
        except (KeyError, TypeError):
            break
        names[name] = int(code)
    if not names:
        raise ValueError(f"a state register must have named states, and {register.name} has none")
    return names


@contextmanager
def replaced(*parts: tuple[ModuleType, str, Callable[..., Any]]) -> Iterator[None]:
    """Let modules call other makers of their parts, for as long as this thread elaborates them.

    Proofs run in threads. What others elaborate meanwhile is not touched.
    """
    ours = get_ident()

    def chosen(usual: Callable[..., Any], other: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *values, **named: (other if get_ident() == ours else usual)(*values, **named)

    with _replacing, ExitStack() as stack:
        for module, name, maker in parts:
            maker = chosen(getattr(module, name), maker)
            stack.enter_context(patch.object(module, name, maker))
        yield
