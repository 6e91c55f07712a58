# SPDX-License-Identifier: Apache-2.0
"""Every word that the security monitor says to clusters, to the guard and to the loader."""

from typing import Any

from amaranth import Array, C, Cat, Module, Mux, Signal, Value
from amaranth.hdl import Assert, Cover

from blindvisor.hdl.abi import Call
from blindvisor.hdl.iocluster.passes import Others, Until
from blindvisor.hdl.ionet.flits import LaneOp
from blindvisor.verification.formal.monitor_environment import Seen
from blindvisor.verification.formal.monitor_results_spec import BROADCASTS, MonitorResultsSpec
from blindvisor.verification.formal.monitor_tables_spec import LENDING, PASSES

__all__ = ["MonitorWordsSpec"]

ONE_CLUSTER = PASSES[-3:]
FREE_FOR_ALL = (*PASSES[:2], *ONE_CLUSTER)
"""Passes that serve clusters whoever owns them."""
CLEANING = ("DRAIN", "SCRUB", "CLEAN", "FREE")
"""Passes that leave out clusters that the VM does not own."""
OTHERS: dict[str, Others] = {
    **dict.fromkeys(FREE_FOR_ALL, Others.SERVE),
    **dict.fromkeys(CLEANING, Others.SKIP),
}
UNTIL = {"DRAIN": Until.DRAINED, "CLEAN": Until.CLEAN, "POWER_ON_CLEAN": Until.CLEAN}
OPERATIONS = {
    "POWER_ON_CLEAN": LaneOp.STATUS,
    "POWER_ON_FREE": LaneOp.FREE,
    "VACANT": LaneOp.NONE,
    "CLAIM": LaneOp.CLAIM,
    "LAUNCH": LaneOp.LAUNCH,
    "FREEZE": LaneOp.FREEZE,
    "RESUME": LaneOp.RESUME,
    "STOP": LaneOp.STOP,
    "DRAIN": LaneOp.STATUS,
    "SCRUB": LaneOp.SCRUB,
    "CLEAN": LaneOp.STATUS,
    "FREE": LaneOp.FREE,
    "GRANT": LaneOp.CHANNEL,
    "REVOKED": LaneOp.CHANNEL,
    "STATUS_CLUSTER": LaneOp.STATUS,
    "STATUS_FAULTS": LaneOp.FAULT,
    "FAULT_CLEAR": LaneOp.FAULT,
}


class MonitorWordsSpec(MonitorResultsSpec):
    """The monitor's outputs, each given by the state of the call and its words.

    Claims
    ------
    P3-WORDS
        A command to clusters is that of the pass, with the data that its call says, to the cluster
        at which the pass is. While the lane is lent, it is the loader's, which hears the replies;
        else the loader is not heard and hears nothing.
    P3-PASS
        A pass goes over the rectangle of its call, serves the clusters that it must, and waits for
        what it must.
    P10-ROWS
        The guard's table changes when and as the call says, and when a VM is destroyed.
    P6-LENT
        The loader starts for the slot of the call, with its rectangle and length; words of an image
        are taken or given while it works; it is told of an abort.
    """

    def elaborate(self, platform: object) -> Module:
        """State what each output must be."""
        m = super().elaborate(platform)
        seen = self.seen
        self._commands(m, seen)
        self._passes(m, seen)
        self._rows(m, seen)
        self._loader(m, seen)
        told = seen.ended & (seen.call == Call.FAULT_CLEAR.value)
        m.d.comb += Cover(told, "a cluster has been told to clear its record of faults")
        return m

    def _commands(self, m: Module, seen: Seen) -> None:
        words, lane = seen.words, seen.dut.lane
        command, registers = lane.command.payload, seen.registers
        guest = Signal(4)  # of the row that a CHANNEL_REVOKE clears before it tells the clusters
        row = Array(seen.rows[n] for n in range(self.config.channels))[words[0][:4]]
        with m.If(seen.within("CHECK")):
            m.d.sync += guest.eq(row.guest)
        _, x, y, width, height = words
        last = ((width - 1)[:4], (height - 1)[:4])
        vm = registers["vm"]
        data: dict[str, Value] = {
            "CLAIM": Cat(words[0][:8], x[:4], y[:4], *last),
            "LAUNCH": Cat(words[0][:8], seen.record.resumed),
            "FREEZE": words[0][:8],
            "RESUME": words[0][:8],
            "STOP": vm,
            "GRANT": Cat(words[2][:4], words[0][:4], C(1, 1)),
            "REVOKED": Cat(guest, words[0][:4]),
            "FAULT_CLEAR": C(1, 1),
        }
        other = seen.dut.loader_lane
        lent, about = seen.within(*LENDING), vm == self.vm
        for name, op in OPERATIONS.items():
            known = about if name in ("CLAIM", "LAUNCH") else 1
            with m.If(seen.within(name)):
                m.d.comb += [
                    Assert(lane.command.valid == seen.passing("COMMAND"), "P3-WORDS"),
                    Assert(~lane.command.valid | (command.op == op), "P3-WORDS"),
                    Assert(
                        ~lane.command.valid | (command.named == (name not in BROADCASTS)),
                        "P3-WORDS",
                    ),
                    Assert(
                        ~(lane.command.valid & known) | (command.data == data.get(name, C(0, 1))),
                        "P3-WORDS",
                    ),
                ]
        wanted = other.command.payload
        access = Mux(seen.call == Call.VM_SAVE.value, LaneOp.READ, LaneOp.WRITE)
        op = Mux(wanted.op.as_value() == access, access, LaneOp.ADDRESS)
        asked = Cat(wanted.data, op, C(1, 1), wanted.cluster)
        m.d.comb += [
            Assert(seen.within(*PASSES) | lent | ~lane.command.valid, "P3-WORDS"),
            Assert(lent | ~command.named | (command.cluster == seen.sweep.cluster), "P3-WORDS"),
            Assert(~lent | (lane.command.valid == other.command.valid), "P3-WORDS"),
            Assert(~(lent & lane.command.valid) | (command.as_value() == asked), "P3-WORDS"),
            Assert(other.command.ready == (lent & lane.command.ready), "P3-WORDS"),
            Assert(other.reply_valid == (lent & lane.reply_valid), "P3-WORDS"),
            Assert(other.reply.as_value() == lane.reply.as_value(), "P3-WORDS"),
        ]
        granted, revoked = seen.within("GRANT", "GRANTED"), seen.within("REVOKE", "REVOKED")
        m.d.comb += [
            Assert(~granted | (registers["guest"] == words[2][:4]), "lemma: guest channel"),
            Assert(~revoked | (registers["guest"] == guest), "lemma: guest channel"),
        ]

    def _passes(self, m: Module, seen: Seen) -> None:
        config, order, words = self.config, seen.sweep.order, seen.words
        record, vm = seen.record, seen.registers["vm"]
        about = vm == self.vm
        _, x, y, width, height = words
        index = Mux(seen.within("FAULT_CLEAR"), words[0], words[1])
        everything: tuple[Any, ...] = (0, config.width, config.height)
        named = (y * config.width + x, width, height)
        own = (record.y * config.width + record.x, record.width, record.height)
        for name in PASSES:
            if name in PASSES[:2]:
                area, known = everything, C(1, 1)
            elif name in ONE_CLUSTER:
                area, known = (index, 1, 1), C(1, 1)
            elif name == "VACANT":
                area, known = named, C(1, 1)
            else:
                area, known = own, about
            claims = name in ("VACANT", "CLAIM")
            with m.If(seen.within(name)):
                m.d.comb += [
                    Assert(seen.sweep.start, "P3-PASS"),
                    Assert(order.op == OPERATIONS[name], "P3-PASS"),
                ]
                if name in BROADCASTS:
                    continue
                m.d.comb += [
                    *(
                        Assert(~known | (given == wanted), "P3-PASS")
                        for given, wanted in zip(
                            (order.first, order.width, order.height), area, strict=True
                        )
                    ),
                    Assert(order.until == UNTIL.get(name, Until.REPLY), "P3-PASS"),
                    Assert(order.others == OTHERS.get(name, Others.REFUSE), "P3-PASS"),
                    Assert(order.patient == (name == "POWER_ON_CLEAN"), "P3-PASS"),
                ]
                if name not in FREE_FOR_ALL:
                    m.d.comb += Assert(order.holder == (0 if claims else vm), "P3-PASS")

    def _rows(self, m: Module, seen: Seen) -> None:
        words, update, channel = seen.words, seen.dut.update, seen.registers["channel"]
        row = Array(seen.rows[n] for n in range(self.config.channels))[channel]
        taken = seen.within("TAKE_CHANNELS") & (row.owner == seen.registers["vm"])
        granted, revoked = seen.within("GRANTED"), seen.within("REVOKE")
        given = Cat(words[1][:8], words[2][:4])
        with m.If(update.valid):
            m.d.comb += [
                Assert(update.channel == Mux(taken, channel, words[0][:4]), "P10-ROWS"),
                Assert(update.row.as_value() == Mux(granted, given, 0), "P10-ROWS"),
            ]
        m.d.comb += Assert(update.valid == (taken | granted | revoked), "P10-ROWS")
        was_taking, was_channel = Signal(), Signal.like(channel)
        m.d.sync += [was_taking.eq(seen.within("TAKE_CHANNELS")), was_channel.eq(channel)]
        with m.If(seen.within("TAKE_CHANNELS")):
            m.d.comb += Assert(channel == Mux(was_taking, was_channel + 1, 0), "P10-ROWS")
        with m.Elif(was_taking):
            m.d.comb += Assert(was_channel == self.config.channels - 1, "P10-ROWS")

    def _loader(self, m: Module, seen: Seen) -> None:
        dut, words, record = seen.dut, seen.words, seen.record
        load, calls = dut.load, dut.calls
        save = seen.call == Call.VM_SAVE.value
        lending, lent = seen.within("LEND", "LENT"), seen.within(*LENDING)
        about = seen.registers["vm"] == self.vm
        told = Cat(load.x, load.y, load.width, load.height)
        m.d.comb += [
            Assert(load.start == seen.within("LEND"), "P6-LENT"),
            Assert(load.abort == (lent & self.aborted), "P6-LENT"),
            Assert(calls.loading == (lending & ~save), "P6-LENT"),
            Assert(calls.saving == (lent & save), "P6-LENT"),
            Assert(dut.staging_opened == calls.loading, "P6-LENT"),
            Assert(dut.saved_opened == calls.saving, "P6-LENT"),
        ]
        with m.If(lent):
            m.d.comb += [
                Assert(load.save == save, "P6-LENT"),
                Assert(load.vm == words[0][:8], "P6-LENT"),
                Assert(load.length == words[1], "P6-LENT"),
                Assert(dut.staging_limit == words[1][2:], "P6-LENT"),
                Assert(
                    ~about | (told == Cat(record.x, record.y, record.width, record.height)),
                    "P6-LENT",
                ),
            ]
