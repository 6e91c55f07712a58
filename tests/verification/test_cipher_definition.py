# amaranth: UnusedElaboratable=no
# SPDX-License-Identifier: Apache-2.0
"""S-box and AES round as gates against FIPS 197: all 256 bytes, random states, and ABC's cec.

What is compared is the netlist that yosys makes of the gateware. The definition is written here
from the standard and shares nothing with it.
"""

import random
import shutil
import subprocess

import pytest

from blindvisor.hdl.loader.aes import Aes
from blindvisor.hdl.loader.sbox import SBox
from blindvisor.verification.canonical import netlist

pytestmark = pytest.mark.formal

ABC = shutil.which("berkeley-abc")
MATRIX = ((2, 3, 1, 1), (1, 2, 3, 1), (1, 1, 2, 3), (3, 1, 1, 2))  # equation 5.8
STATES = 512

# Output of each gate for A, B (and S), as the rows of a BLIF table.
TABLES = {
    "$_NOT_": ("A", ["0"]),
    "$_AND_": ("AB", ["11"]),
    "$_NAND_": ("AB", ["0-", "-0"]),
    "$_OR_": ("AB", ["1-", "-1"]),
    "$_NOR_": ("AB", ["00"]),
    "$_XOR_": ("AB", ["01", "10"]),
    "$_XNOR_": ("AB", ["00", "11"]),
    "$_ANDNOT_": ("AB", ["10"]),
    "$_ORNOT_": ("AB", ["1-", "-0"]),
    "$_MUX_": ("ABS", ["1-0", "-11"]),
}


def product(a, b):
    """FIPS 197, section 4.2: carry-less product modulo 0x11B."""
    long = 0
    for n in range(8):
        long ^= (a << n) * (b >> n & 1)
    for n in reversed(range(8, 16)):
        long ^= (0x11B << n - 8) * (long >> n & 1)
    return long


def definition(byte):
    """FIPS 197, section 5.1.1: inverse by search, affine map bit by bit."""
    inverse = next((n for n in range(256) if product(byte, n) == 1), 0)
    bits = [inverse >> n & 1 for n in range(8)]
    return sum(
        (sum(bits[(n + k) % 8] for k in (0, 4, 5, 6, 7)) + (0x63 >> n & 1)) % 2 << n
        for n in range(8)
    )


TABLE = [definition(byte) for byte in range(256)]


def shifted(n):
    """Which byte of the state ShiftRows puts at byte ``n``: row n % 4 of column n // 4."""
    row, column = n % 4, n // 4
    return row + 4 * ((column + row) % 4)


def defined_round(state, key, *, final):
    """Sections 5.1.1 to 5.1.4 on 16 bytes."""
    rows = [TABLE[state[shifted(n)]] for n in range(16)]
    if not final:
        rows = [
            product(MATRIX[n % 4][0], rows[n // 4 * 4])
            ^ product(MATRIX[n % 4][1], rows[n // 4 * 4 + 1])
            ^ product(MATRIX[n % 4][2], rows[n // 4 * 4 + 2])
            ^ product(MATRIX[n % 4][3], rows[n // 4 * 4 + 3])
            for n in range(16)
        ]
    return [byte ^ other for byte, other in zip(rows, key, strict=True)]


def pin_of(cell, name):
    return cell["connections"][name][0]


class Cone:
    """The gates between some nets and others.

    ``named``: names of nets that are given; ``fixed``: nets that are constant. All others must be
    driven by gates.
    """

    def __init__(self, design, *, named, fixed, outputs):
        self.named, self.outputs = named, outputs
        self.fixed = {"0": 0, "1": 1, **fixed}
        drivers = {
            cell["connections"]["Y"][0]: cell
            for cell in design["cells"].values()
            if "Y" in cell["connections"]
        }
        self.gates = []  # in order of evaluation: output, inputs, rows
        done = {*self.named, *self.fixed}
        waiting = list(outputs)
        while waiting:
            net = waiting[-1]
            if net in done:
                waiting.pop()
                continue
            pins, rows = TABLES[drivers[net]["type"]]
            if pins == "ABS" and (chosen := pin_of(drivers[net], "S")) in self.fixed:
                pins, rows = "AB"[self.fixed[chosen]], ["1"]  # what is not chosen does not matter
            inputs = [pin_of(drivers[net], pin) for pin in pins]
            if missing := [each for each in inputs if each not in done]:
                waiting += missing
                continue
            self.gates.append((net, inputs, rows))
            done.add(net)

    def evaluate(self, values, cases):
        """Return the outputs for many cases at once: case ``n`` is bit ``n`` of each value."""
        everything = (1 << cases) - 1
        known = {net: everything * bit for net, bit in self.fixed.items()} | values
        for net, inputs, rows in self.gates:
            total = 0
            for row in rows:
                term = everything
                for bit, each in zip(row, inputs, strict=True):
                    if bit != "-":
                        term &= known[each] if bit == "1" else known[each] ^ everything
                total |= term
            known[net] = total
        return [known[net] for net in self.outputs]

    def blif(self):
        """The same as text for ABC."""
        lines = [f".names n{net}" + ("\n1" if bit else "") for net, bit in self.fixed.items()]
        lines += [f".names {name} n{net}\n1 1" for net, name in self.named.items()]
        for net, inputs, rows in self.gates:
            lines.append(f".names {' '.join(f'n{each}' for each in inputs)} n{net}")
            lines += [f"{row} 1" for row in rows]
        lines += [f".names n{net} y{n}\n1 1" for n, net in enumerate(self.outputs)]
        return model(self.named.values(), len(self.outputs), lines)


def model(inputs, outputs, lines):
    names = " ".join(f"y{n}" for n in range(outputs))
    return "\n".join(
        [".model top", f".inputs {' '.join(inputs)}", f".outputs {names}", *lines, ".end", ""]
    )


def table_lines(inputs, outputs):
    """The S-box as eight tables with all their minterms."""
    lines = []
    for bit, output in enumerate(outputs):
        lines.append(f".names {' '.join(inputs)} {output}")
        for byte, value in enumerate(TABLE):
            if value >> bit & 1:
                lines.append("".join(str(byte >> n & 1) for n in range(8)) + " 1")
    return lines


def sum_lines(inputs, output):
    """A sum modulo 2 as its odd minterms."""
    count = len(inputs)
    odd = (n for n in range(1 << count) if n.bit_count() % 2)
    rows = ["".join(str(n >> k & 1) for k in range(count)) + " 1" for n in odd]
    return [f".names {' '.join(inputs)} {output}", *rows]


def defined_sbox_blif():
    inputs = [f"s{n}" for n in range(8)]
    return model(inputs, 8, table_lines(inputs, [f"y{n}" for n in range(8)]))


def defined_round_blif(*, final):
    lines = []
    for n in range(16):
        source = shifted(n)
        lines += table_lines(
            [f"s{8 * source + bit}" for bit in range(8)], [f"r{8 * n + bit}" for bit in range(8)]
        )
    for n in range(16):
        for bit in range(8):
            if final:
                terms = [f"r{8 * n + bit}"]
            else:
                terms = [
                    f"r{8 * (n // 4 * 4 + k) + source}"
                    for k in range(4)
                    for source in range(8)
                    if product(MATRIX[n % 4][k], 1 << source) >> bit & 1
                ]
            lines += sum_lines([*terms, f"k{8 * n + bit}"], f"y{8 * n + bit}")
    inputs = [f"{kind}{n}" for kind in "sk" for n in range(128)]
    return model(inputs, 128, lines)


def equivalent(folder, gates, defined):
    """Whether ABC says that both are the same for all inputs."""
    (folder / "gates.blif").write_text(gates)
    (folder / "defined.blif").write_text(defined)
    assert ABC is not None
    run = subprocess.run(
        [ABC, "-c", "cec -T 300 gates.blif defined.blif"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=360,
    )
    assert ("are equivalent" in run.stdout) != ("NOT EQUIVALENT" in run.stdout), run.stdout
    return "are equivalent" in run.stdout


@pytest.fixture(scope="module")
def sbox(tmp_path_factory):
    design = netlist(SBox(), tmp_path_factory.mktemp("sbox"))
    given, value = (design["ports"][name]["bits"] for name in ("data", "value"))
    named = {net: f"s{n}" for n, net in enumerate(given)}
    return Cone(design, named=named, fixed={}, outputs=value)


@pytest.fixture(scope="module")
def cipher(tmp_path_factory):
    return netlist(Aes(sboxes=16), tmp_path_factory.mktemp("aes"))


def round_of(design, *, final):
    """The gates from state and round key to the next state, in the last or in another round."""
    ports, names = design["ports"], design["netnames"]
    state = ports["user__results"]["bits"]
    key = names["words"]["bits"][128:]
    fixed = {}
    for name, value in (("left", 1 if final else 2), ("early", 0), ("part", 0)):
        fixed |= {net: value >> n & 1 for n, net in enumerate(names[name]["bits"])}
    for name in ("user__start", "rst"):
        fixed[ports[name]["bits"][0]] = 0
    following = {
        cell["connections"]["Q"][0]: cell["connections"]["D"][0]
        for cell in design["cells"].values()
        if "Q" in cell["connections"]
    }
    named = {net: f"s{n}" for n, net in enumerate(state)}
    named |= {net: f"k{n}" for n, net in enumerate(key)}
    return Cone(design, named=named, fixed=fixed, outputs=[following[net] for net in state])


def columns(cases, width):
    """Turn numbers into one value per bit, with one case per bit of it."""
    return [sum((case >> n & 1) << at for at, case in enumerate(cases)) for n in range(width)]


def test_sbox_netlist_is_the_definition_for_all_bytes(sbox):
    given = dict(zip(sbox.named, columns(range(256), 8), strict=True))
    assert sbox.evaluate(given, 256) == columns(TABLE, 8)


@pytest.mark.parametrize("final", [False, True])
def test_round_netlist_is_the_definition_for_random_states(cipher, final):
    rng = random.Random(1)
    cone = round_of(cipher, final=final)
    pairs = [(rng.randbytes(16), rng.randbytes(16)) for _ in range(STATES)]
    cases = [int.from_bytes(state + key, "little") for state, key in pairs]
    right = [bytes(defined_round(state, key, final=final)) for state, key in pairs]
    given = dict(zip(cone.named, columns(cases, 256), strict=True))
    expected = columns([int.from_bytes(each, "little") for each in right], 128)
    assert cone.evaluate(given, STATES) == expected


needs_abc = pytest.mark.skipif(ABC is None, reason="berkeley-abc is not installed")


@needs_abc
def test_sbox_is_equivalent_to_the_definition(sbox, tmp_path):
    assert equivalent(tmp_path, sbox.blif(), defined_sbox_blif())


@needs_abc
@pytest.mark.parametrize("final", [False, True])
def test_round_is_equivalent_to_the_definition(cipher, tmp_path, final):
    cone = round_of(cipher, final=final)
    assert equivalent(tmp_path, cone.blif(), defined_round_blif(final=final))
    # Control: a definition without MixColumns, or with it where it must not be.
    assert not equivalent(tmp_path, cone.blif(), defined_round_blif(final=not final))
