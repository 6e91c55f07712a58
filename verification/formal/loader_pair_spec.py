# SPDX-License-Identifier: Apache-2.0
"""Two copies of the loader that differ in all that is secret."""

from typing import Any

from amaranth import Cat, Module, Signal
from amaranth.hdl import Assert, Cover

from blindvisor.hdl.abi import Result
from blindvisor.hdl.ionet.flits import LaneOp
from blindvisor.hdl.loader.process import Phase
from blindvisor.verification.formal.loader_environment import LoaderEnvironment

__all__ = ["LoaderPairSpec"]

SECRET = {
    "key",
    "first_half",
    "aes.result",
    "kdf.subkey",
    "gcm.key",
    "gcm.mask",
    "gcm.waiting",
    "writer.words",
    "writer.lane__command__payload",
}
"""Registers that may differ: keys, keystream, plaintext, and what is made of them."""


class LoaderPairSpec(LoaderEnvironment):
    """Both copies get the same image and the same answers, and other keys and keystreams.

    Claims
    ------
    P7-EQUAL
        All that leaves the loader is equal in both copies in every cycle, except the data of WRITE
        commands, until one copy's tag matches and the other's does not.

    The lemmas say that all registers but those in ``SECRET`` are equal until then.
    """

    def __init__(self) -> None:
        super().__init__(copies=2)

    def elaborate(self, platform: object) -> Module:
        """Feed both copies and compare them."""
        m = Module()
        a, b = self._copy(m, 0), self._copy(m, 1)
        differed = Signal()  # one tag matched and the other did not
        with m.If(a.gcm.done & (a.gcm.match != b.gcm.match)):
            m.d.sync += differed.eq(1)
        left, right = a.dut.lane.command, b.dut.lane.command
        writes = left.valid & (left.payload.op == LaneOp.WRITE)
        # Power-on leaves anything in the memory of the header.
        phase, index = a.registers["phase"], a.registers["index"]
        taking = phase == Phase.HEADER
        kept = (phase >= Phase.CHECK.value) & (phase <= Phase.CONTENTS.value)
        with m.If(~differed):
            m.d.comb += [
                Assert(_seen(a.dut) == _seen(b.dut), "P7-EQUAL"),
                Assert(
                    writes | ~left.valid | (left.payload.data == right.payload.data), "P7-EQUAL"
                ),
                *(
                    Assert(a.registers[name] == b.registers[name], f"lemma: {name}")
                    for name in sorted(a.registers.keys() - SECRET)
                ),
                *(
                    Assert((one == other) | ~(kept | (taking & (n < index))), "lemma: header")
                    for n, (one, other) in enumerate(zip(a.header, b.header, strict=True))
                ),
                Assert((phase > Phase.LENGTH.value) | (index == 0), "lemma: index"),
                Assert(
                    Cat(left.payload.op, left.payload.named, left.payload.cluster)
                    == Cat(right.payload.op, right.payload.named, right.payload.cluster),
                    "lemma: commands",
                ),
                Assert(
                    (left.payload.op == LaneOp.WRITE) | (left.payload.data == right.payload.data),
                    "lemma: commands",
                ),
            ]
        data_differs = left.payload.data != right.payload.data
        m.d.comb += [
            Cover(~differed & writes & data_differs, "what is written differs"),
            Cover(~differed & (a.dut.result == Result.OK), "a load ends well in both copies"),
        ]
        return m


def _seen(dut: Any) -> Any:
    """All that leaves the loader, the data of lane commands excepted."""
    command = dut.lane.command
    named = Cat(command.payload.op, command.payload.named, command.payload.cluster)
    return Cat(dut.busy, dut.done, dut.result, dut.staging.ready, command.valid, named)
