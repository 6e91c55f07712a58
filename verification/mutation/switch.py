# SPDX-License-Identifier: Apache-2.0
"""One netlist that holds all mutants of a block, and what solvers say of each of them."""

import json
import re
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

from blindvisor.verification.formal import flow
from blindvisor.verification.formal.engines import pdr
from blindvisor.verification.formal.flow import Design, FlowError, Prepared, run_yosys
from blindvisor.verification.mutation.mutants import SELECT, Block, Mutant
from blindvisor.verification.mutation.netlist import Netlist

__all__ = ["LOST", "Comparison", "Found", "Switch"]

LOST = "not inductive"
"""What is said of a step that fails."""

_NONE = {SELECT: 0}
_SOON = 12  # time steps
_CONFLICTS = 1_000_000

# Outputs are wanted here, properties are not: nothing that the specification assumes is used.
_BLOCK = """
hierarchy -top top.{instance}
flatten
opt_clean
memory_map -formal
async2sync
opt -fast
setundef -undriven -anyseq
opt -full
techmap
opt -fast
memory_map -formal
formalff -clk2ff -ff2anyinit
simplemap
dffunmap
aigmap
opt_clean
write_aiger -zinit -no-startoffset -map top.aim top.aig
"""


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a search for a counterexample found.

    Members
    -------
    claim : :class:`str`
        The violated one; empty if there is no counterexample in ``steps`` time steps.
    """

    claim: str
    steps: int


@dataclass(frozen=True, kw_only=True)
class Switch:
    """A specification with its block, in which an input chooses a mutant.

    A number of 0 stands for the block as it is, others for mutants, from the first on.

    Members
    -------
    claims : :class:`tuple` of :class:`str`
        By the netlist's assertions.
    """

    netlist: Netlist
    claims: tuple[str, ...]

    @classmethod
    def make(
        cls,
        design: Design,
        block: Block,
        mutants: list[Mutant],
        folder: Path,
        outputs: tuple[str, ...] = (),
    ) -> "Switch":
        """Translate all at once.

        ``outputs``: what names of the block's outputs begin with; if empty all of them are
        compared.

        Raises
        ------
        :exc:`FlowError`
            If Yosys does not accept the design, or an assertion did not arrive.
        """
        (folder / "top.il").write_text(design.text)
        edit = block.ready + block.switched(mutants)
        shown = " ".join(f"w:{port}" for port in _outputs(design, block, outputs))
        # What the block's outputs depend on must be there for alike(), whether or not a claim looks
        # at it. The map tells which assertion is which. Otherwise this is what proofs get.
        common = flow._COMMON.replace(
            "flatten\n", f"flatten\nselect -assert-any {shown}\nsetattr -set keep 1 {shown}\n", 1
        )
        aiger = flow._AIGER.replace("write_aiger ", "write_aiger -ywmap top.map ").replace(
            "delete -output", f"delete -output\nexpose {shown}"
        )
        run_yosys(f"{flow._READ}{edit}{common}{aiger}", folder, "switch")
        netlist = Netlist.read(folder / "top.aig")
        cells = [path[-1] for path in json.loads((folder / "top.map").read_text())["asserts"]]
        if len(netlist.bad) != design.counts["assert"] or len(cells) != len(netlist.bad):
            raise FlowError(
                f"every assertion must arrive at the solver: {design.counts['assert']} are"
                f" written, {len(netlist.bad)} are in the netlist of the mutants"
            )
        names = flow.claims(design.text)
        return cls(
            netlist=netlist,
            claims=tuple(names[cell][1] for cell in cells),
        )

    def search(self, number: int, folder: Path, *, steps: int, seconds: float) -> Found:
        """Look for a counterexample of at most so many time steps."""
        self._write(number, folder)
        bounded = f"bmc3 -F {steps}" if self.netlist.registers else "pdr"
        text = _abc(
            f"read_aiger top.aig; fold; strash; {bounded} -T {seconds:.0f}; testcex -a", folder
        )
        failed = re.findall(r"Output (\d+) of miter .* was asserted in frame (\d+)", text)
        if failed and "The cex is correct" in text:
            return Found(claim=self._claim([failed[-1][0]]), steps=int(failed[-1][1]) + 1)
        if not failed and re.search("Explored all reachable states|Property proved", text):
            return Found(claim="", steps=steps)
        passed = re.findall(r"No output asserted in (\d+) frames", text)
        if failed or not passed:
            raise FlowError(f"abc must find a counterexample or none, not: {text[-300:]}")
        return Found(claim="", steps=int(passed[-1]))

    def prove(self, number: int, folder: Path, *, seconds: float) -> tuple[bool | None, str]:
        """Return whether all assertions hold for all time, and the violated one or why not."""
        self._write(number, folder)
        answer = pdr(_prepared(folder), seconds=seconds)
        if answer.holds is False:
            log = (folder / "pdr.log").read_text()
            return False, self._claim(re.findall(r"Output (\d+) of miter", log))
        return answer.holds, answer.detail

    def step(
        self, number: int, folder: Path, *, steps: int, seconds: float
    ) -> tuple[bool | None, str]:
        """Return whether so many good time steps are followed by another; needs the base case."""
        self._write(number, folder)
        frames = steps + 1
        text = _abc(
            f"read_aiger top.aig; fold; strash; orpos; ind -F {frames} -T {seconds:.0f} -v", folder
        )
        if "Networks are equivalent." in text:
            return True, ""
        if f"Completed {frames} iterations." in text:
            return False, LOST
        return None, f"no answer from ind: {text.strip()[-200:]}"

    def alike(self, number: int, folder: Path) -> bool:
        """Return whether the mutant does the same as the block, whatever the proof allows.

        That is, with any inputs that keep the assumptions, in any state in which all assertions
        hold. If these are inductive without a mutant, the block is in no other state, so the mutant
        goes through the same ones, and can never be told from it.
        """
        self.netlist.differing(_NONE, {SELECT: number}).write(folder / "differ.aig")
        text = _abc(f"read_aiger differ.aig; strash; sat -C {_CONFLICTS}", folder)
        return bool(re.search(r"^UNSATISFIABLE", text, re.MULTILINE))

    def _write(self, number: int, folder: Path) -> None:
        chosen = self.netlist.given(**{SELECT: number})
        replace(chosen, outputs=()).write(folder / "top.aig")

    def _claim(self, outputs: list[str]) -> str:
        return self.claims[int(outputs[-1])] if outputs else "a claim"


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The block alone, with the same choice among its mutants."""

    netlist: Netlist

    @classmethod
    def make(
        cls, design: Design, block: Block, mutants: list[Mutant], folder: Path
    ) -> "Comparison":
        """Translate all at once.

        Raises
        ------
        :exc:`FlowError`
            If Yosys does not accept the block.
        """
        (folder / "top.il").write_text(design.text)
        script = f"{flow._READ}{block.ready}{block.switched(mutants)}"
        run_yosys(script + _BLOCK.format(instance=block.instances[0]), folder, "block")
        return cls(netlist=Netlist.read(folder / "top.aig"))

    def same(self, number: int, folder: Path, *, seconds: float) -> bool:
        """Return whether the mutant's outputs are proved to be the block's, whatever comes in.

        False if they differ, and if no proof was found in time.
        """
        self.netlist.compared(_NONE, {SELECT: number}).write(folder / "pair.aig")
        # Most that differ do so soon. What the copies have in common (scorr) need not be compared.
        soon = f"bmc3 -F {_SOON} -T {seconds:.0f}; scorr; " if self.netlist.registers else ""
        text = _abc(f"read_aiger pair.aig; strash; {soon}pdr -T {seconds:.0f}", folder)
        checked = re.search(r"^Verification of invariant .* was successful\.", text, re.MULTILINE)
        proved = re.search(r"^Property proved\.", text, re.MULTILINE)
        explored = "Explored all reachable states" in text
        same = bool(checked and proved) or explored
        return same and "was asserted in frame" not in text


def _outputs(design: Design, block: Block, begins: tuple[str, ...]) -> list[str]:
    """Return the names that a block's outputs have once the specification is flat."""
    found = []
    for instance in block.instances:
        module = re.escape(f"top.{instance}")
        text = re.search(rf"^module \\{module}\n(.*?)^end$", design.text, re.M | re.S)
        names = re.findall(
            r"^  wire (?:width \d+ )?output \d+ +\\(\S+)", text[1] if text else "", re.M
        )
        found += [f"{instance}.{name}" for name in names if name.startswith(begins or ("",))]
    return found


def _abc(script: str, folder: Path) -> str:
    run = subprocess.run(
        ["berkeley-abc", "-c", script], cwd=folder, capture_output=True, text=True, check=False
    )
    if run.returncode:
        raise FlowError(f"abc must end well, and did not: {run.stdout[-300:]}{run.stderr[-300:]}")
    return run.stdout


def _prepared(folder: Path) -> Prepared:
    return Prepared(folder=folder, counts={}, registers=0)
