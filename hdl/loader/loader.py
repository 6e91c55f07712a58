# SPDX-License-Identifier: Apache-2.0
"""The trusted loader: images into clusters, clusters into images, and reports of what was loaded.

Words of an image are little-endian: byte *n* of a block is bits ``[8n+7:8n]``.
"""

from typing import Any

from amaranth import Cat, Elaboratable, Module, Mux, ResetInserter, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from blindvisor.hdl.abi import Result
from blindvisor.hdl.config import MachineConfig
from blindvisor.hdl.ionet.lane import LaneUser
from blindvisor.hdl.loader.aes import Aes, cipher_lanes
from blindvisor.hdl.loader.gcm import BlockKind
from blindvisor.hdl.loader.ghash import hash_cycles
from blindvisor.hdl.loader.header import HEADER_BLOCKS, block_of
from blindvisor.hdl.loader.loading import contents_states, header_states, unwrap_states
from blindvisor.hdl.loader.process import Phase, Process
from blindvisor.hdl.loader.report import Reporter, ReportPort
from blindvisor.hdl.loader.saving import image_states, make_header, number_states
from blindvisor.hdl.loader.sharing import share_cipher
from blindvisor.hdl.loader.store import StorePort

__all__ = ["Loader"]


class Loader(wiring.Component):
    """Loads an image into a rectangle of clusters, or saves one, or says why not; makes reports.

    The phases of a load are in :mod:`~blindvisor.hdl.loader.loading`, those of a save in
    :mod:`~blindvisor.hdl.loader.saving`; this file has what they share.

    Parameters
    ----------
    config : :class:`MachineConfig`
        The machine.
    sboxes : :class:`int`
        S-boxes of :class:`Aes`. 32 is the smallest number that keeps the monitor lane busy.
    digit : :class:`int`
        Digit width of :class:`Ghash`; 16 for the same reason.

    Members
    -------
    root_key : :py:`In(256)`
        Device root key; byte 0 is bits [7:0]. Sampled with ``start``, and when a report begins.
    epoch, epoch_valid : :py:`In(64)`, :py:`In(1)`
        As :class:`SaveNumber`.
    start : :py:`In(1)`
        Begins a load or a save: held, with the following, until ``busy``.
    save : :py:`In(1)`
        A save.
    vm : :py:`In(8)`
        Slot whose record is written or read.
    x, y : :py:`In(4)`, width, height : :py:`In(5)`
        Rectangle, which must be in the mesh, in LOADING or, for a save, in FROZEN.
    length : :py:`In(32)`
        Bytes of the image to load.
    abort : :py:`In(1)`
        Ends with ABORTED, unless ``done`` is high. Ignored while not ``busy``.
    staging : :py:`In(stream.Signature(32))`
        The image. At most ``length / 4`` words are taken, each once.
    saved : :py:`Out(stream.Signature(32))`
        The saved image. ``done`` with OK comes after its last word was taken. A word that is
        offered is withdrawn when the save fails.
    busy : :py:`Out(1)`
        High from the cycle after ``start`` was taken to the one with ``done``. Low during a report.
    done : :py:`Out(1)`
        High for one cycle.
    result : :py:`Out(Result)`
        Valid with ``done``: OK, one that is named for loads and saves in docs/interfaces.md,
        ABORTED, or CLUSTER_FAULT (a cluster's reply was not ``ok``). NONE otherwise.
    resumed : :py:`Out(1)`
        Valid with ``done`` of a load that is OK: the image is a saved state.
    lane : :py:`Out(LaneUser(config))`
        ADDRESS and WRITE, or READ, to the clusters of the rectangle. ``done`` waits for all
        replies.
    store : :py:`Out(StorePort(config))`
        The store. ``done`` waits for its response.
    report : :py:`In(ReportPort())`
        Served while there is no ``start``; without effect on a machine that has no channel for it.

    Notes
    -----
    * The checks, their order and the image format: docs/interfaces.md.
    * P6: OK only after the tags of the key and of the contents were compared, 128 bits at once.
      Contents are in the clusters before that: whoever starts a load scrubs them on any other
      result.
    * P7: with ``done`` every register but records and save number returns to its reset value: keys,
      round keys, keystream and plaintext are gone. Nothing made of them reaches a port but the
      lane's payload in a load, ciphertext and tag in a save, and ``result``. No handshake or
      latency depends on them.
    * What was taken from staging is not taken again; the header is kept inside.
    """

    # For type checkers; the shapes depend on the parameters, so __init__ sets the signature.
    root_key: Signal
    epoch: Signal
    epoch_valid: Signal
    start: Signal
    save: Signal
    vm: Signal
    x: Signal
    y: Signal
    width: Signal
    height: Signal
    length: Signal
    abort: Signal
    staging: stream.Interface
    saved: stream.Interface
    busy: Signal
    done: Signal
    result: Signal
    resumed: Signal
    lane: Any
    store: Any
    report: Any

    def __init__(self, config: MachineConfig, *, sboxes: int = 32, digit: int = 16) -> None:
        self.config = config
        hash_cycles(digit)  # refuses a wrong one
        self.lanes = cipher_lanes(sboxes)
        self.sboxes = sboxes
        self.digit = digit
        super().__init__(
            {
                "root_key": In(256),
                "epoch": In(64),
                "epoch_valid": In(1),
                "start": In(1),
                "save": In(1),
                "vm": In(8),
                "x": In(4),
                "y": In(4),
                "width": In(5),
                "height": In(5),
                "length": In(32),
                "abort": In(1),
                "staging": In(stream.Signature(32)),
                "saved": Out(stream.Signature(32)),
                "busy": Out(1),
                "done": Out(1),
                "result": Out(Result),
                "resumed": Out(1),
                "lane": Out(LaneUser(config)),
                "store": Out(StorePort(config)),
                "report": In(ReportPort()),
            }
        )

    def elaborate(self, platform: object) -> Elaboratable:
        """Build the phases around the parts; all but the save number is in the final reset."""
        m = Module()
        s = Process(m, self.config, lanes=self.lanes, digit=self.digit)
        m.submodules.reporter = reporter = Reporter()
        begin = self.start & ~self.busy & ~reporter.busy
        self._connect_words(m, s)
        self._connect_ports(m, s, reporter)
        m.submodules.aes = aes = Aes(sboxes=self.sboxes)
        share_cipher(m, s, aes, reporter, root_key=self.root_key, begin=begin)
        make_header(m, s)

        with m.Switch(s.phase):
            with m.Case(Phase.IDLE):
                with m.If(begin):
                    m.d.sync += [
                        Cat(s.save, s.vm, s.length).eq(Cat(self.save, self.vm, self.length)),
                        Cat(s.x, s.y, s.width, s.height).eq(
                            Cat(self.x, self.y, self.width, self.height)
                        ),
                        s.times.eq(self.height),
                        s.index.eq(Mux(self.save, block_of("identity"), 0)),
                        s.phase.eq(Mux(self.save, Phase.NUMBER, Phase.LENGTH)),
                    ]
            header_states(m, s)
            number_states(m, s)
            self._cipher_states(m, s)
            unwrap_states(m, s)
            contents_states(m, s)
            image_states(m, s)
            with m.Case(Phase.DRAIN):
                with m.If(s.writer.idle & s.reader.idle & s.versions.idle):
                    m.d.comb += [
                        self.done.eq(1),
                        self.result.eq(s.verdict),
                        self.resumed.eq(s.check.saved & (s.verdict == Result.OK)),
                    ]
            with m.Default():
                s.go(Phase.DRAIN)  # P8: the verdict is not OK

        with m.If(
            (s.writer.refused | s.reader.refused)
            & ((s.phase != Phase.DRAIN) | (s.verdict == Result.OK))
        ):
            s.end(Result.CLUSTER_FAULT)
        # Length and save number are judged first, and what has failed by itself stays what it is:
        # the result of a wrong call does not depend on how soon the hypervisor gives it up.
        aborted = Signal()
        m.d.sync += aborted.eq(aborted | (self.abort & self.busy))
        first = (s.phase == Phase.LENGTH) | (s.phase == Phase.NUMBER)
        failed = (s.phase == Phase.DRAIN) & (s.verdict != Result.OK)
        with m.If((aborted | self.abort) & self.busy & ~first & ~failed):
            s.end(Result.ABORTED)

        top = Module()
        top.submodules.numbers = s.numbers
        top.submodules.process = ResetInserter(self.done | reporter.finished)(m)
        return top

    def _cipher_states(self, m: Module, s: Process) -> None:
        """Add the phases that derive a key, begin a message and authenticate the header."""
        with m.Case(Phase.DERIVE):
            s.go(Phase.DERIVING)
        with m.Case(Phase.DERIVING):
            with m.If(s.kdf.done):
                with m.If(s.save):
                    s.go(Phase.OPEN_CONTENTS)
                with m.Elif(s.check.sealed):
                    m.d.sync += s.index.eq(block_of("identity"))
                    s.go(Phase.LOOK_UP)
                with m.Else():
                    s.go(Phase.OPEN_KEY)
        with m.Case(Phase.OPEN_CONTENTS):
            m.d.comb += [s.gcm.start.eq(1), s.writer.begin.eq(~s.save), s.reader.begin.eq(s.save)]
            m.d.sync += s.index.eq(0)
            s.go(Phase.AUTHENTICATE)
        with m.Case(Phase.AUTHENTICATE):
            m.d.comb += [
                s.gcm.source.valid.eq(~s.save | s.scatter.blocks.ready),
                s.kind.eq(BlockKind.AAD),
                s.scatter.blocks.valid.eq(s.save & s.gcm.source.ready),
            ]
            with m.If(s.gcm.source.valid & s.gcm.source.ready):
                m.d.sync += s.index.eq(s.index + 1)
                with m.If(s.index == HEADER_BLOCKS - 1):
                    m.d.sync += s.phase.eq(Mux(s.save, Phase.READ, Phase.WRITE))

    def _connect_words(self, m: Module, s: Process) -> None:
        """Join what makes blocks of words and words of blocks."""
        gather, scatter = s.gather, s.scatter
        wiring.connect(m, wiring.flipped(self.staging), gather.words)
        reading = (s.phase == Phase.HEADER) | (s.phase == Phase.WRITE)
        m.d.comb += gather.enable.eq(reading & (s.blocks_left != 0))
        with m.If(gather.filled):
            m.d.sync += s.blocks_left.eq(s.blocks_left - 1)

        m.d.comb += [
            self.saved.valid.eq(scatter.words.valid & (s.phase != Phase.DRAIN)),
            self.saved.payload.eq(scatter.words.payload),
            scatter.words.ready.eq(self.saved.ready),
            scatter.blocks.payload.eq(s.gcm.sink.payload.data),
        ]
        with m.Switch(s.phase):
            with m.Case(Phase.AUTHENTICATE):
                m.d.comb += scatter.blocks.payload.eq(s.header_read.data)
            with m.Case(Phase.TAG):
                m.d.comb += scatter.blocks.payload.eq(s.gcm.tag)

    def _connect_ports(self, m: Module, s: Process, reporter: Reporter) -> None:
        """Join parts and ports where no phase decides."""
        wiring.connect(m, s.versions.store, wiring.flipped(self.store))
        wiring.connect(m, wiring.flipped(self.report), reporter.port)
        m.d.comb += [
            self.busy.eq(s.phase != Phase.IDLE),
            reporter.begin.eq(~self.busy & ~self.start),
            reporter.record.eq(s.records.read_data),
            s.numbers.epoch.eq(self.epoch),
            s.numbers.epoch_valid.eq(self.epoch_valid),
            s.header_write.addr.eq(s.index),
            s.header_write.data.eq(Mux(s.save, s.made, s.gather.blocks.payload)),
            s.header_read.addr.eq(s.index),
            s.check.width.eq(s.width),
            s.check.height.eq(s.height),
            s.check.block.eq(s.gather.blocks.payload),
            s.check.index.eq(s.index),
            s.versions.identity.eq(s.header_read.data),
            s.versions.stop.eq(s.phase == Phase.DRAIN),
            s.records.read_vm.eq(Mux(reporter.busy, self.report.vm, s.vm)),
            s.records.read_block.eq(Mux(reporter.busy, reporter.record_block, s.record_block)),
            s.writer.cluster_bytes.eq(s.check.cluster_bytes),
            s.writer.blocks.payload.eq(s.gcm.sink.payload.data),
            s.writer.stop.eq((s.phase == Phase.DRAIN) & (s.verdict != Result.OK)),
        ]
        for part in (s.writer, s.reader):
            m.d.comb += [part.x.eq(s.x), part.y.eq(s.y), part.width.eq(s.width)]
            m.d.comb += [
                part.lane.reply.eq(self.lane.reply),
                part.lane.reply_valid.eq(self.lane.reply_valid),
                part.lane.command.ready.eq(self.lane.command.ready),
            ]
        # One of them is idle, and knows which replies are its own.
        writes, reads = s.writer.lane.command, s.reader.lane.command
        m.d.comb += [
            self.lane.command.valid.eq(writes.valid | reads.valid),
            self.lane.command.payload.eq(
                Mux(reads.valid, reads.payload.as_value(), writes.payload.as_value())
            ),
        ]
