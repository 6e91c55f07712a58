# SPDX-License-Identifier: Apache-2.0
"""Bilinear circuits in canonical form: each output as a set of products of two input bits.

A netlist of AND, XOR, NOT and multiplexers that computes a multiplication is expanded
symbolically; two circuits are equal exactly if all sets are. What SAT solvers cannot do beyond 16
bits takes a second for 128.
"""

import json
from collections.abc import Iterable
from functools import reduce
from operator import xor
from pathlib import Path
from typing import Any

from amaranth.back import rtlil  # pyright: ignore[reportAttributeAccessIssue]
from amaranth.lib import wiring

from blindvisor.verification.formal.flow import run_yosys

__all__ = ["ONE", "ZERO", "Polynomial", "evaluate", "netlist", "variable"]

Polynomial = frozenset[frozenset[str]]
"""Sum modulo 2 of products; the product of nothing is 1."""

ZERO: Polynomial = frozenset()
ONE: Polynomial = frozenset({frozenset()})

_GATES = """
read_rtlil top.il
hierarchy -check -top top
proc
flatten
opt_clean
techmap
simplemap
opt_clean
dffunmap
write_json gates.json
"""


def netlist(component: wiring.Component, folder: Path) -> dict[str, Any]:
    """Return the flattened design as yosys's JSON, in simple gates; work in ``folder``."""
    (folder / "top.il").write_text(rtlil.convert(component, name="top", emit_src=False))
    run_yosys(_GATES, folder, "gates")
    return json.loads((folder / "gates.json").read_text())["modules"]["top"]


def variable(name: str) -> Polynomial:
    """Return the polynomial that is this input alone."""
    return frozenset({frozenset({name})})


def _product(a: Polynomial, b: Polynomial) -> Polynomial:
    return reduce(xor, (frozenset(left | right for left in a) for right in b), ZERO)


def _cell(kind: str, pins: dict[str, Polynomial]) -> Polynomial:
    """Return a gate's output."""
    if kind == "$_NOT_":
        return pins["A"] ^ ONE
    a, b = pins["A"], pins["B"]
    match kind:
        case "$_XOR_":
            return a ^ b
        case "$_XNOR_":
            return a ^ b ^ ONE
        case "$_AND_":
            return _product(a, b)
        case "$_NAND_":
            return _product(a, b) ^ ONE
        case "$_ANDNOT_":
            return _product(a, b ^ ONE)
        case "$_OR_":
            return a ^ b ^ _product(a, b)
        case "$_NOR_":
            return a ^ b ^ _product(a, b) ^ ONE
        case "$_ORNOT_":
            return ONE ^ b ^ _product(a, b)
        case "$_MUX_":
            return a ^ _product(pins["S"], a ^ b)
    raise ValueError(f"a gate must be one that yosys's simplemap makes, not {kind}")


def evaluate(
    module: dict[str, Any], inputs: dict[int, Polynomial], outputs: Iterable[int | str]
) -> list[Polynomial]:
    """Return the polynomials of some nets of a netlist.

    Parameters
    ----------
    module : :class:`dict`
        A module of yosys's JSON, made of simple gates.
    inputs : :class:`dict`
        What is known: polynomials by net.
    outputs : iterable
        Nets that are asked for.

    Raises
    ------
    :exc:`ValueError`
        If a net depends on one that no gate drives and that is not in ``inputs``, on a loop, or on
        an unknown gate.
    """
    drivers = {
        pins["Y"][0]: (cell["type"], {pin: net for pin, (net,) in pins.items() if pin != "Y"})
        for cell in module["cells"].values()
        if "Y" in (pins := cell["connections"])
    }
    known: dict[int | str, Polynomial] = {"0": ZERO, "1": ONE, **inputs}
    asked = list(outputs)
    waiting = list(asked)
    open_nets: set[int | str] = set()
    while waiting:
        net = waiting[-1]
        if net in known:
            waiting.pop()
            continue
        if net not in drivers:
            raise ValueError(f"net {net} must be an input or driven by a gate")
        kind, pins = drivers[net]
        if missing := [pin for pin in pins.values() if pin not in known]:
            if net in open_nets:
                raise ValueError(f"net {net} must not depend on itself")
            open_nets.add(net)
            waiting += missing
            continue
        known[net] = _cell(kind, {name: known[pin] for name, pin in pins.items()})
        waiting.pop()
    return [known[net] for net in asked]
