# SPDX-License-Identifier: Apache-2.0
"""VM_LOAD and VM_SAVE: the lane is lent to the loader."""

from amaranth import Module, Signal

from blindvisor.hdl.abi import Call, Result, VmState
from blindvisor.hdl.iocluster.sequences import Sequences

__all__ = ["image_states"]

_LOADER_RESULTS = (
    Result.OK,
    Result.IMAGE_HEADER,
    Result.IMAGE_SIZE,
    Result.IMAGE_KEY,
    Result.IMAGE_TAG,
    Result.ABORTED,
    Result.CLUSTER_FAULT,
    Result.IMAGE_OLD,
    Result.STORE_FULL,
    Result.NO_NONCE,
)


def image_states(m: Module, s: Sequences) -> None:
    """Add the states of VM_LOAD and VM_SAVE; trust nothing but the loader's OK.

    After a load without it the VM is scrubbed. A save changes no state: a frozen VM stays frozen.
    """
    calls, load, aborted = s.calls, s.load, s.aborted
    saving, lent = Signal(), Signal()
    verdict, resumed = Signal(Result, init=Result.CLUSTER_FAULT), Signal()
    m.d.comb += [
        saving.eq(s.command == Call.VM_SAVE.value),
        load.save.eq(saving),
        load.vm.eq(s.vm),
        calls.saving.eq(lent & saving),
        s.lent.eq(lent),
    ]
    with m.State("LEND"):
        m.d.comb += [load.start.eq(1), lent.eq(1), calls.loading.eq(~saving)]
        with m.If(load.busy):
            m.next = "LENT"
    with m.State("LENT"):
        m.d.comb += [lent.eq(1), calls.loading.eq(~saving)]
        with m.If(load.done):
            m.d.sync += [
                verdict.eq(Result.CLUSTER_FAULT),
                resumed.eq(load.resumed),
                s.abortable.eq(saving),
            ]
            with m.Switch(load.result):
                with m.Case(*_LOADER_RESULTS):
                    m.d.sync += verdict.eq(load.result)
            m.next = "RETURNED"
    with m.State("RETURNED"):
        m.d.comb += lent.eq(1)
        result = Signal(Result)
        m.d.comb += result.eq(verdict)
        with m.If(aborted & (verdict == Result.OK)):
            m.d.comb += result.eq(Result.ABORTED)
        # A reply to the loader must not be taken for one to the monitor.
        with m.If(s.settled):
            with m.If(saving):
                with m.If((result != Result.OK) | s.all_taken):
                    s.end(result)
            with m.Else():
                m.d.sync += [aborted.eq(0), s.last_load.eq(result)]
                with m.If(result == Result.OK):
                    s.write_record(VmState.READY, resumed=resumed)
                    s.end(Result.OK)
                with m.Else():
                    s.destroy_and_end(result)
