# amaranth: UnusedElaboratable=no
# SPDX-License-Identifier: Apache-2.0
"""The ports of a machine with little behind them: what SimLink needs to meet.

Calls: COMMAND 2 (VM_LOAD) takes ARG1 / 4 words, one every eight cycles, and sums them in VALUE0;
with ARG2 = n it gives up after n words. COMMAND 6 (VM_SAVE) gives the words 1 to ARG1, one every
eight cycles, and gives up when it has made ARG2. COMMAND 1 (VM_CREATE) reads row ARG1 of the store,
puts its version into VALUE2, adds 1 and writes it. Any other call ends after ARG0 cycles. Every
typed byte is printed again.
"""

from typing import Any

from amaranth import Cat, Const, Module, Mux, Signal
from amaranth.back import verilog
from amaranth.lib import data, fifo, stream, wiring
from amaranth.lib.wiring import In, Out

from blindvisor.hdl.abi import Call, HypervisorRegister
from blindvisor.hdl.config import MachineConfig
from blindvisor.hdl.iocluster.bus import HypervisorBus
from blindvisor.hdl.iocluster.tty_mux import TTY_BYTE
from blindvisor.hdl.loader.store import STORE_ROW, StorePort

WORD_CYCLES = 8
STAGING_DEPTH = 8
CONFIG = MachineConfig(name="standin", width=1, height=1, store_rows=5)


class StandIn(wiring.Component):
    hypervisor: Any
    interrupt: Signal
    root_key: Signal
    epoch: Signal
    epoch_valid: Signal
    store: Any
    tty_out: stream.Interface
    tty_in: stream.Interface

    def __init__(self):
        byte = stream.Signature(TTY_BYTE)
        super().__init__(
            {
                "hypervisor": In(HypervisorBus()),
                "interrupt": Out(1),
                "root_key": In(256),
                "epoch": In(64),
                "epoch_valid": In(1),
                "store": Out(StorePort(CONFIG)),
                "tty_out": Out(byte),
                "tty_in": In(byte),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.staging = staging = fifo.SyncFIFOBuffered(width=32, depth=STAGING_DEPTH)
        m.submodules.echo = echo = fifo.SyncFIFOBuffered(width=12, depth=4)
        saved: Any = fifo.SyncFIFO(width=32, depth=STAGING_DEPTH)  # its stubs lack the level
        m.submodules.saved = saved
        bus = self.hypervisor
        busy, loading, timer = Signal(), Signal(), Signal(32)
        arguments = [Signal(32, name=f"arg{n}") for n in range(5)]
        total, left, until = Signal(32), Signal(32), Signal(32)
        saving, number, given = Signal(), Signal(32), Signal(32)

        asking, writing, asked = Signal(), Signal(), Signal()
        request, response = self.store.request, self.store.response
        row = data.View(STORE_ROW, response.row)
        version = Signal(32)

        m.d.comb += [
            echo.w_data.eq(self.tty_in.payload),
            echo.w_en.eq(self.tty_in.valid),
            self.tty_in.ready.eq(echo.w_rdy),
            self.tty_out.payload.eq(echo.r_data),
            self.tty_out.valid.eq(echo.r_rdy),
            echo.r_en.eq(self.tty_out.ready),
            bus.err.eq(bus.stb & ~bus.ack),
        ]

        def readable(register, value):
            with m.Case(register.value):
                m.d.comb += [bus.ack.eq(bus.stb & ~bus.we), bus.dat_r.eq(value)]

        with m.If(bus.we):
            with m.Switch(bus.adr):
                for n, argument in enumerate(arguments):
                    with m.Case(HypervisorRegister.ARG0.value + 4 * n):
                        m.d.comb += bus.ack.eq(bus.stb)
                        with m.If(bus.stb):
                            m.d.sync += argument.eq(bus.dat_w)
                with m.Case(HypervisorRegister.COMMAND.value):
                    m.d.comb += bus.ack.eq(bus.stb & ~busy)
                    with m.If(bus.ack):
                        m.d.sync += [busy.eq(1), timer.eq(0), total.eq(0)]
                        m.d.sync += loading.eq(bus.dat_w == Call.VM_LOAD.value)
                        m.d.sync += [left.eq(arguments[1] >> 2), until.eq(arguments[2])]
                        m.d.sync += saving.eq(bus.dat_w == Call.VM_SAVE.value)
                        m.d.sync += [number.eq(0), given.eq(0)]
                        m.d.sync += asking.eq(bus.dat_w == Call.VM_CREATE.value)
                with m.Case(HypervisorRegister.STATUS.value):
                    m.d.comb += bus.ack.eq(bus.stb)
                    with m.If(bus.stb):
                        m.d.sync += self.interrupt.eq(0)
                with m.Case(HypervisorRegister.STAGING.value):
                    m.d.comb += bus.ack.eq(bus.stb & loading & staging.w_rdy)
                    m.d.comb += [staging.w_en.eq(bus.ack), staging.w_data.eq(bus.dat_w)]
        with m.Else():
            with m.Switch(bus.adr):
                readable(HypervisorRegister.ID, 0x31564C42)
                status = busy | self.interrupt << 1 | loading << 2 | saving << 3
                space = STAGING_DEPTH - staging.w_level
                readable(HypervisorRegister.STATUS, status)
                readable(HypervisorRegister.STAGING_SPACE, (loading & staging.w_rdy) * space)
                readable(HypervisorRegister.VALUE0, total)
                readable(HypervisorRegister.VALUE1, self.root_key[:32])
                readable(HypervisorRegister.VALUE2, version)
                readable(HypervisorRegister.VALUE3, Mux(self.epoch_valid, self.epoch[:32], -1))
                readable(HypervisorRegister.SAVED_WORDS, Mux(saving, saved.level, 0))
                with m.Case(HypervisorRegister.SAVED.value):
                    m.d.comb += bus.ack.eq(bus.stb & ~bus.we & saving & saved.r_rdy)
                    m.d.comb += [bus.dat_r.eq(saved.r_data), saved.r_en.eq(bus.ack)]

        with m.If(busy):
            m.d.sync += timer.eq(timer + 1)
        with m.If(busy & ~(loading | saving | asking) & (timer >= arguments[0])):
            m.d.sync += [busy.eq(0), self.interrupt.eq(1)]
        m.d.comb += staging.r_en.eq(loading & (timer[:3] == WORD_CYCLES - 1))
        with m.If(staging.r_en & staging.r_rdy):
            m.d.sync += [total.eq(total + staging.r_data), left.eq(left - 1), until.eq(until - 1)]
            with m.If((left == 1) | (until == 1)):
                m.d.sync += [loading.eq(0), busy.eq(0), self.interrupt.eq(1)]

        m.d.comb += [
            saved.w_data.eq(number + 1),
            saved.w_en.eq(saving & (timer[:3] == WORD_CYCLES - 1) & (number != arguments[1])),
        ]
        with m.If(saved.w_en & saved.w_rdy):
            m.d.sync += number.eq(number + 1)
        m.d.sync += given.eq(given + saved.r_en)
        with m.If(saving & ((given == arguments[1]) | ((number == arguments[2]) & (number != 0)))):
            m.d.sync += [saving.eq(0), busy.eq(0), self.interrupt.eq(1)]

        next_row = Cat(row.identity, (row.version + 1)[:32], row.generation, 1, Const(0, 63))
        kept = Signal(STORE_ROW.size)
        m.d.comb += [
            request.valid.eq(asking & ~asked),
            request.payload.eq(Cat(writing, arguments[1][:3], kept)),
        ]
        with m.If(request.valid & request.ready):
            m.d.sync += asked.eq(1)
        with m.If(asked & response.valid):
            m.d.sync += [asked.eq(0), writing.eq(~writing)]
            with m.If(writing):
                m.d.sync += [asking.eq(0), busy.eq(0), self.interrupt.eq(1)]
            with m.Else():
                m.d.sync += [version.eq(row.version), kept.eq(next_row)]
        return m


def standin_verilog() -> str:
    return verilog.convert(StandIn(), name="blindvisor", strip_internal_attrs=True)
