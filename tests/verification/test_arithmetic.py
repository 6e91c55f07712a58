# amaranth: UnusedElaboratable=no
# SPDX-License-Identifier: Apache-2.0
"""The loader's arithmetic against its definition, for all inputs: the multiplier of GHASH."""

import pytest

from blindvisor.hdl.loader.ghash import Ghash
from blindvisor.verification.canonical import ONE, ZERO, evaluate, netlist, variable

pytestmark = pytest.mark.formal


def position(power):
    """Where the coefficient of x^power is in a block (SP 800-38D, section 6.3)."""
    return power ^ 7


def definition(rows, factor):
    """Return the 128 polynomials of the product, by SP 800-38D's algorithm 1."""
    z = [ZERO] * 128
    v = list(factor)
    for row in rows:
        z = [a ^ frozenset(x | y for x in row for y in b) for a, b in zip(z, v, strict=True)]
        carry = v[127]
        v = [ZERO, *v[:127]]
        for power in (0, 1, 2, 7):
            v[power] = v[power] ^ carry
    return z


@pytest.mark.parametrize("digit", [16, 64])
def test_ghash_multiplies_as_sp_800_38d_defines(tmp_path, digit):
    """Chained over its cycles, the digit-serial step is the product: all 16,384 coefficients."""
    design = netlist(Ghash(digit=digit), tmp_path)
    ports, names = design["ports"], design["netnames"]
    registers = {name: names[name]["bits"] for name in ("total", "factor")}
    inputs = {bit: variable(f"h{n ^ 7}") for n, bit in enumerate(ports["key"]["bits"])}
    factor = [variable(f"x{n}") for n in range(128)]
    total = [ZERO] * 128
    for _ in range(128 // digit):
        known = dict(inputs)
        known |= dict(zip(registers["total"], total, strict=True))
        known |= dict(zip(registers["factor"], factor, strict=True))
        # what the ready cycle gives as hash is also what the others take over as total
        total = evaluate(design, known, names["after"]["bits"])
        factor = [ZERO] * digit + factor[: 128 - digit]
    expected = definition(
        [variable(f"x{n}") for n in range(128)], [variable(f"h{n}") for n in range(128)]
    )
    assert total == expected
    assert any(len(polynomial) > 128 for polynomial in total)


def test_canonical_form_sees_one_wrong_gate(tmp_path):
    design = netlist(Ghash(digit=64), tmp_path)
    names = design["netnames"]
    known = {bit: variable(f"h{n}") for n, bit in enumerate(design["ports"]["key"]["bits"])}
    for name in ("total", "factor"):
        known |= {bit: variable(f"{name}{n}") for n, bit in enumerate(names[name]["bits"])}
    right = evaluate(design, known, names["after"]["bits"])
    bit = names["after"]["bits"][:1]
    gate = next(cell for cell in design["cells"].values() if cell["connections"].get("Y") == bit)
    gate["type"] = "$_AND_"
    assert evaluate(design, known, names["after"]["bits"]) != right


def test_unknown_nets_and_gates_are_refused():
    gate = {"type": "$_DFF_P_", "connections": {"A": [2], "B": [2], "Y": [3]}}
    with pytest.raises(ValueError, match="net 2 must be an input"):
        evaluate({"cells": {"g": gate}}, {}, [3])
    with pytest.raises(ValueError, match="a gate must be one"):
        evaluate({"cells": {"g": gate}}, {2: ONE}, [3])
