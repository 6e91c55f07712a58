# SPDX-License-Identifier: Apache-2.0
"""Whether a mutant is one at all: a proof that it behaves as the block does, for all time."""

from pathlib import Path

from blindvisor.verification.formal.engines import pdr
from blindvisor.verification.formal.flow import Design, Prepared, run_yosys
from blindvisor.verification.mutation.mutants import Block, Mutant

__all__ = ["is_equivalent"]

# Both are compared from power-on, with any inputs: nothing that the specification assumes is used.
_SCRIPT = """
read_rtlil top.il
hierarchy -check -top top
{ready}
hierarchy -top top.dut
flatten
design -save original
{change}
hierarchy -top top.dut
flatten
design -copy-from original -as original top.dut
miter -equiv -make_assert -flatten original top.dut miter
hierarchy -top miter
proc -norom
opt_clean
chformal -lower
async2sync
opt -fast
setundef -undriven -anyseq
delete -output
opt -full
techmap
opt -fast
memory_map -formal
formalff -clk2ff -ff2anyinit
simplemap
dffunmap
aigmap
opt_clean
write_aiger -I -B -zinit -no-startoffset -map top.aim top.aig
"""


def is_equivalent(
    design: Design, block: Block, mutant: Mutant, folder: Path, *, seconds: float
) -> bool:
    """Return whether the mutant's outputs are proved to be the block's, whatever comes in.

    False if they differ, and if no proof was found in time.

    Raises
    ------
    :exc:`FlowError`
        If Yosys does not accept the pair.
    """
    (folder / "top.il").write_text(design.text)
    (folder / "top.aig").unlink(missing_ok=True)
    change = (
        f"design -reset\nread_rtlil top.il\nhierarchy -check -top top\n{block.ready}"
        f"{mutant.command}"
    )
    run_yosys(_SCRIPT.format(ready=block.ready, change=change), folder, "equivalent")
    pair = Prepared(folder=folder, counts=design.counts, registers=0)
    return pdr(pair, seconds=seconds).holds is True
