# SPDX-License-Identifier: Apache-2.0
"""From frames to accesses of the hypervisor's port and bytes of the TTYs, and back."""

from typing import Any

from amaranth import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from blindvisor.hdl.config import MachineConfig
from blindvisor.hdl.host.crc import Crc
from blindvisor.hdl.host.frames import (
    ACCESS,
    ANSWER,
    CAPACITY,
    LINK_MAGIC,
    STATUS,
    TRAILER_WORDS,
    TTY_WORD,
    Description,
    FrameType,
    Outcome,
    machine_hash,
)
from blindvisor.hdl.host.receiver import FrameReceiver
from blindvisor.hdl.host.sender import FrameSender
from blindvisor.hdl.host.uart import UartReceiver, UartTransmitter, uart_divisor
from blindvisor.hdl.iocluster.bus import HypervisorBus
from blindvisor.hdl.iocluster.tty_mux import TTY_BYTE

__all__ = ["DESCRIPTION_WORDS", "TYPING_PAUSE", "HostBridge"]

DESCRIPTION_WORDS = len(Description)

TYPING_PAUSE = 1024
"""Cycles between typed bytes. The machine drops a byte for a full channel, as a UART does."""

PATIENCE = 3
"""Cycles without a printed byte that end a TTY_READ; the machine offers at most every second."""

_HALF = 256  # words of the memory: requests below, answers above


class HostBridge(wiring.Component):
    """A UART's end of the host link: master of the hypervisor's port, and owner of the terminals.

    Parameters
    ----------
    config : :class:`MachineConfig`
        The machine; its hash is what a host knows it by.
    clock_hz, baud : :class:`int`
        Of the domain ``sync``, and of the line; see :func:`uart_divisor`.

    Members
    -------
    rx, tx : :py:`In(1)`, :py:`Out(1)`
        The line.
    hypervisor : :py:`Out(HypervisorBus())`
        To the machine: whoever holds the line can do what this port can do, and no more.
    interrupt : :py:`In(1)`
        From the machine; reported in every answer.
    tty_out, tty_in : :py:`In(stream.Signature(TTY_BYTE))`, :py:`Out(stream.Signature(TTY_BYTE))`
        The machine's terminals. A printed byte is held off until a TTY_READ takes it.
    open : :py:`Out(1)`
        A host has said HELLO since reset.

    Notes
    -----
    One frame at a time: until its answer has left, what arrives is ignored. A frame with the
    sequence number of the one before is not carried out again: the stored answer is sent again.
    HELLO and WHO, and what is refused for want of a session, leave the stored answer alone; their
    own is made in the request's place.
    """

    rx: Signal
    tx: Signal
    hypervisor: Any
    interrupt: Signal
    tty_out: stream.Interface
    tty_in: stream.Interface
    open: Signal

    def __init__(self, config: MachineConfig, *, clock_hz: int, baud: int) -> None:
        self.config = config
        self.clock_hz = clock_hz
        self.divisor = uart_divisor(clock_hz=clock_hz, baud=baud)
        if clock_hz >= 1 << 32:
            raise ValueError(f"clock must be less than 2^32 Hz, not {clock_hz}")
        super().__init__(
            {
                "rx": In(1),
                "tx": Out(1),
                "hypervisor": Out(HypervisorBus()),
                "interrupt": In(1),
                "tty_out": In(stream.Signature(TTY_BYTE)),
                "tty_in": Out(stream.Signature(TTY_BYTE)),
                "open": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Receive, carry out, answer."""
        m = Module()
        m.submodules.uart_rx = uart_rx = UartReceiver(divisor=self.divisor)
        m.submodules.uart_tx = uart_tx = UartTransmitter(divisor=self.divisor)
        m.submodules.receiver = receiver = FrameReceiver()
        m.submodules.sender = sender = FrameSender()
        m.submodules.crc = crc = Crc()
        m.submodules.memory = memory = Memory(shape=32, depth=2 * _HALF, init=[])
        write = memory.write_port()
        read = memory.read_port()
        wiring.connect(m, sender.bytes, uart_tx.bytes)
        wiring.connect(m, receiver.crc, crc.users[0])
        wiring.connect(m, sender.crc, crc.users[1])
        m.d.comb += [
            uart_rx.rx.eq(self.rx),
            self.tx.eq(uart_tx.tx),
            receiver.data.eq(uart_rx.data),
            receiver.valid.eq(uart_rx.valid),
            receiver.error.eq(uart_rx.error),
        ]

        clock = Signal(32)
        m.d.sync += clock.eq(clock + 1)
        session = Signal(32)
        last = Signal(8)  # sequence number of the stored answer
        stored = Signal()  # there is one
        stored_length = Signal(8)

        place = Signal(8)  # next word of the request
        cursor = Signal(8)  # next word of the answer
        above = Signal()  # the answer is one to be stored
        emit = Signal()
        emitted = Signal(32)
        done = Signal(9)  # the words of two frames, at most
        outcome = Signal(Outcome)
        pause = Signal(range(TYPING_PAUSE))
        access = data.View(ACCESS, read.data)
        address = Signal(12)
        writing = Signal()
        left = Signal(8)

        m.d.comb += [
            read.en.eq(~write.en),  # never both: RAM blocks need help to give the old word
            read.addr.eq(Mux(sender.busy, Cat(sender.index, above), place)),
            write.en.eq(receiver.write | emit),
            write.addr.eq(Mux(emit, Cat(cursor, above), receiver.index)),
            write.data.eq(Mux(emit, emitted, receiver.word)),
            sender.type.eq(receiver.type | ANSWER),
            sender.sequence.eq(receiver.sequence),
            sender.length.eq(Mux(above, stored_length, cursor)),
            sender.word.eq(read.data),
            self.hypervisor.adr.eq(address),
            self.hypervisor.we.eq(writing),
            self.hypervisor.dat_w.eq(read.data),
            self.tty_in.payload.eq(
                Cat(data.View(TTY_WORD, read.data).byte, data.View(TTY_WORD, read.data).channel)
            ),
        ]
        status = data.View(STATUS, Signal(STATUS.size, name="status"))
        m.d.comb += Value.cast(status).eq(
            Cat(
                done,
                Const(0, 16 - len(done)),
                outcome.as_value(),
                Const(0, 4),
                self.interrupt,
                self.tty_out.valid,
            )
        )
        with m.If(emit):
            m.d.sync += cursor.eq(cursor + 1)
        room = Signal()  # for one more word, and the trailer
        m.d.comb += room.eq(cursor < CAPACITY - TRAILER_WORDS)

        description: dict[Description, Value | int] = {
            Description.MAGIC: LINK_MAGIC,
            Description.HASH_LOW: machine_hash(self.config) & 0xFFFF_FFFF,
            Description.HASH_HIGH: machine_hash(self.config) >> 32,
            Description.CLOCK: self.clock_hz,
            Description.SESSION: session,
        }

        with m.FSM(name="state"):
            with m.State("RECEIVE"):
                m.d.comb += receiver.enable.eq(1)
                m.d.sync += [place.eq(0), cursor.eq(0), done.eq(0), above.eq(0), pause.eq(0)]
                m.d.sync += outcome.eq(Outcome.OK)
                with m.If(receiver.received):
                    m.next = "DISPATCH"
            with m.State("DISPATCH"):
                # The first word of the payload comes out of the memory in this cycle.
                with m.If(receiver.type == FrameType.HELLO.value):
                    with m.If((receiver.length == 1) & (read.data != 0)):
                        m.d.sync += [session.eq(read.data), self.open.eq(1), stored.eq(0)]
                        m.next = "DESCRIBE"
                    with m.Else():
                        m.d.sync += outcome.eq(Outcome.MALFORMED)
                        m.next = "CLOCK"
                with m.Elif(receiver.type == FrameType.WHO.value):
                    m.next = "DESCRIBE"
                with m.Elif(~self.open):
                    m.d.sync += outcome.eq(Outcome.NO_SESSION)
                    m.next = "CLOCK"
                with m.Elif(stored & (last == receiver.sequence)):
                    m.d.sync += above.eq(1)
                    m.next = "SEND"
                with m.Else():
                    m.d.sync += [above.eq(1), stored.eq(1), last.eq(receiver.sequence)]
                    with m.Switch(receiver.type):
                        with m.Case(FrameType.ACCESS.value):
                            m.next = "HEADER"
                        with m.Case(FrameType.TTY_READ.value):
                            m.next = "PRINTED"
                        with m.Case(FrameType.TTY_WRITE.value):
                            m.next = "TYPED"
                        with m.Default():
                            m.d.sync += outcome.eq(Outcome.MALFORMED)
                            m.next = "CLOCK"

            with m.State("DESCRIBE"):
                m.d.comb += emit.eq(1)
                with m.Switch(cursor):
                    for index, word in description.items():
                        with m.Case(index.value):
                            m.d.comb += emitted.eq(word)
                with m.If(cursor == DESCRIPTION_WORDS - 1):
                    m.next = "CLOCK"

            with m.State("HEADER"):
                with m.If(place == receiver.length):
                    m.next = "CLOCK"
                with m.Else():
                    m.d.sync += place.eq(place + 1)
                    m.next = "TAKE"
            with m.State("TAKE"):
                m.d.sync += [
                    address.eq(access.address),
                    writing.eq(access.write),
                    left.eq(access.count),
                ]
                m.next = "NEXT"
            with m.State("NEXT"):
                with m.If(left == 0):
                    m.next = "HEADER"
                with m.Elif(Mux(writing, place == receiver.length, ~room)):
                    m.d.sync += outcome.eq(Outcome.MALFORMED)
                    m.next = "CLOCK"
                with m.Else():
                    m.d.sync += place.eq(place + writing)
                    m.next = "ACCESS"
            with m.State("ACCESS"):
                m.d.comb += self.hypervisor.stb.eq(1)
                with m.If(self.hypervisor.err):
                    m.d.sync += outcome.eq(Outcome.BUS_ERROR)
                    m.next = "CLOCK"
                with m.Else():
                    m.d.comb += [emit.eq(~writing), emitted.eq(self.hypervisor.dat_r)]
                    m.d.sync += [left.eq(left - 1), done.eq(done + 1)]
                    m.next = "NEXT"

            with m.State("PRINTED"):
                m.d.comb += [
                    self.tty_out.ready.eq(room),
                    emit.eq(room & self.tty_out.valid),
                    emitted.eq(self.tty_out.payload.as_value()),
                ]
                m.d.sync += pause.eq(pause + 1)
                with m.If(emit):
                    m.d.sync += pause.eq(0)
                with m.Elif((pause == PATIENCE) | ~room):
                    m.next = "CLOCK"

            with m.State("TYPED"):
                with m.If(place == receiver.length):
                    m.next = "CLOCK"
                with m.Else():
                    m.next = "TYPE"
            with m.State("TYPE"):
                m.d.comb += self.tty_in.valid.eq(1)
                m.d.sync += pause.eq(TYPING_PAUSE - 1)
                with m.If(self.tty_in.ready):
                    m.d.sync += [place.eq(place + 1), done.eq(done + 1)]
                    m.next = "PAUSE"
            with m.State("PAUSE"):
                m.d.sync += pause.eq(pause - 1)
                with m.If(pause == 0):
                    m.next = "TYPED"

            with m.State("CLOCK"):
                m.d.comb += [emit.eq(1), emitted.eq(clock)]
                m.next = "STATUS"
            with m.State("STATUS"):
                m.d.comb += [emit.eq(1), emitted.eq(status)]
                with m.If(above):
                    m.d.sync += stored_length.eq(cursor + 1)
                m.next = "SEND"
            with m.State("SEND"):
                m.d.comb += sender.start.eq(1)
                m.next = "SENDING"
            with m.State("SENDING"):
                with m.If(~sender.busy):
                    m.next = "RECEIVE"
        return m
