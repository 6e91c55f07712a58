# SPDX-License-Identifier: Apache-2.0
"""The trusted loader: an image from staging, checked, deciphered and written into clusters.

Words of an image are little-endian: byte *n* of a block is bits ``[8n+7:8n]``.
"""

from typing import Any

from amaranth import Cat, Const, Elaboratable, Module, Mux, ResetInserter, Signal, Value
from amaranth.lib import enum, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from blindvisor.hdl.abi import Result
from blindvisor.hdl.config import MachineConfig
from blindvisor.hdl.ionet.lane import LaneUser
from blindvisor.hdl.loader.aes import Aes, cipher_lanes
from blindvisor.hdl.loader.gcm import GCM_INPUT, BlockKind, Gcm
from blindvisor.hdl.loader.ghash import hash_cycles
from blindvisor.hdl.loader.header import HEADER_BLOCKS, HeaderCheck, block_of
from blindvisor.hdl.loader.kdf import Kdf, KdfLabel
from blindvisor.hdl.loader.writer import ClusterWriter

__all__ = ["Loader"]

TAG_BYTES = 16
FRAME_BYTES = HEADER_BLOCKS * 16 + TAG_BYTES  # of an image, beside the contents


class _Phase(enum.Enum, shape=4):
    IDLE = 0
    LENGTH = 1  # check 1 of docs/interfaces.md
    HEADER = 2
    CHECK = 3  # checks 2 and 3
    DERIVE = 4
    OPEN_KEY = 5
    UNWRAP = 6  # check 4
    OPEN_CONTENTS = 7
    AUTHENTICATE = 8  # the header, as AAD
    CONTENTS = 9  # check 5
    DRAIN = 10


class Loader(wiring.Component):
    """Loads one image into one rectangle of clusters in LOADING, or says why not.

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
        Device root key; byte 0 is bits [7:0]. Sampled with ``start``.
    start : :py:`In(1)`
        Begins a load; ignored while ``busy``. The following are sampled with it.
    x, y : :py:`In(4)`, width, height : :py:`In(5)`
        Rectangle, which must be in the mesh.
    length : :py:`In(32)`
        Bytes of the image.
    abort : :py:`In(1)`
        Ends the load with ABORTED, unless ``done`` is high. Ignored while not ``busy``.
    staging : :py:`In(stream.Signature(32))`
        The image. At most ``length / 4`` words are taken, each once.
    busy : :py:`Out(1)`
        High from the cycle after ``start`` to the one with ``done``.
    done : :py:`Out(1)`
        High for one cycle.
    result : :py:`Out(Result)`
        Valid with ``done``: OK, IMAGE_HEADER, IMAGE_SIZE, IMAGE_KEY, IMAGE_TAG, ABORTED or
        CLUSTER_FAULT (a cluster's reply was not ``ok``). NONE otherwise.
    lane : :py:`Out(LaneUser(config))`
        ADDRESS and WRITE to the clusters of the rectangle. ``done`` waits for all replies.

    Notes
    -----
    * The checks, their order and the image format: docs/interfaces.md.
    * P6: OK only after the tags of the key and of the contents were compared, 128 bits at once.
      Contents are in the clusters before that: whoever starts a load scrubs them on any other
      result.
    * P7: with ``done`` every register returns to its reset value: keys, round keys, keystream and
      plaintext are gone. Nothing made of them reaches a port but the lane's payload and
      ``result``. No handshake or latency depends on them.
    * What was taken from staging is not taken again; the header is kept inside.
    """

    # For type checkers; the shapes depend on the parameters, so __init__ sets the signature.
    root_key: Signal
    start: Signal
    x: Signal
    y: Signal
    width: Signal
    height: Signal
    length: Signal
    abort: Signal
    staging: stream.Interface
    busy: Signal
    done: Signal
    result: Signal
    lane: Any

    def __init__(self, config: MachineConfig, *, sboxes: int = 32, digit: int = 16) -> None:
        self.config = config
        hash_cycles(digit)  # refuses a wrong one
        self.lanes = cipher_lanes(sboxes)
        self.sboxes = sboxes
        self.digit = digit
        super().__init__(
            {
                "root_key": In(256),
                "start": In(1),
                "x": In(4),
                "y": In(4),
                "width": In(5),
                "height": In(5),
                "length": In(32),
                "abort": In(1),
                "staging": In(stream.Signature(32)),
                "busy": Out(1),
                "done": Out(1),
                "result": Out(Result),
                "lane": Out(LaneUser(config)),
            }
        )

    def elaborate(self, platform: object) -> Elaboratable:
        """Build the sequence of checks around the parts; wrap all in the final reset."""
        m = Module()
        m.submodules.check = check = HeaderCheck(self.config)
        m.submodules.writer = writer = ClusterWriter(self.config)
        m.submodules.kdf = kdf = Kdf(lanes=self.lanes)
        m.submodules.gcm = gcm = Gcm(lanes=self.lanes, digit=self.digit)
        m.submodules.header = header = Memory(shape=128, depth=HEADER_BLOCKS, init=[])
        header_write = header.write_port()
        header_read = header.read_port(domain="comb")

        phase = Signal(_Phase)
        verdict = Signal(Result)
        index = Signal(range(HEADER_BLOCKS))  # block of the header that is written or read
        x, y = Signal(4), Signal(4)
        width = Signal(5)
        height = Signal(5)
        length = Signal(32)
        clusters = Signal(10)  # of the VM
        contents = Signal(32)  # their bytes in the image
        times = Signal(10)  # additions that are left of a product
        kind = Signal(BlockKind)  # of the block that is offered to GCM
        blocks_left = Signal(28)  # blocks of the image that are not in gathered
        gathered, complete, taken = self._gather(
            m, reading=(phase == _Phase.HEADER) | (phase == _Phase.CONTENTS), left=blocks_left
        )
        self._connect_cipher(m, kdf=kdf, gcm=gcm, unwrap=phase == _Phase.UNWRAP)

        wiring.connect(m, writer.lane, wiring.flipped(self.lane))
        m.d.comb += [
            self.busy.eq(phase != _Phase.IDLE),
            header_write.addr.eq(index),
            header_write.data.eq(gathered),
            header_read.addr.eq(index),
            check.width.eq(width),
            check.height.eq(height),
            check.block.eq(gathered),
            check.index.eq(index),
            writer.x.eq(x),
            writer.y.eq(y),
            writer.width.eq(width),
            writer.cluster_bytes.eq(check.cluster_bytes),
            writer.blocks.payload.eq(gcm.sink.payload.data),
            writer.stop.eq((phase == _Phase.DRAIN) & (verdict != Result.OK)),
            kdf.label.eq(KdfLabel.WRAP),
            gcm.nonce.eq(header_read.data),
            gcm.decrypt.eq(1),
            gcm.source.payload.eq(
                Cat(
                    Mux(phase == _Phase.CONTENTS, gathered, header_read.data),
                    Const(16, GCM_INPUT["count"].width),
                    kind,
                )
            ),
        ]

        with m.Switch(phase):
            with m.Case(_Phase.IDLE):
                with m.If(self.start):
                    m.d.sync += [
                        Cat(x, y, width, height).eq(Cat(self.x, self.y, self.width, self.height)),
                        length.eq(self.length),
                        times.eq(self.height),
                        phase.eq(_Phase.LENGTH),
                    ]
            with m.Case(_Phase.LENGTH):
                memory = clusters.shift_left(exact_log2(self.config.memory_bytes))
                with m.If(times != 0):
                    m.d.sync += [times.eq(times - 1), clusters.eq(clusters + width)]
                with m.Elif(
                    (length < FRAME_BYTES) | (length[:4] != 0) | (length - FRAME_BYTES > memory)
                ):
                    m.d.sync += [verdict.eq(Result.IMAGE_SIZE), phase.eq(_Phase.DRAIN)]
                with m.Else():
                    m.d.sync += [blocks_left.eq(length[4:]), phase.eq(_Phase.HEADER)]
            with m.Case(_Phase.HEADER):
                m.d.comb += [
                    header_write.en.eq(complete),
                    check.valid.eq(complete),
                    taken.eq(complete),
                ]
                with m.If(complete):
                    m.d.sync += index.eq(index + 1)
                    with m.If(index == HEADER_BLOCKS - 1):
                        m.d.sync += [times.eq(clusters), phase.eq(_Phase.CHECK)]
            with m.Case(_Phase.CHECK):
                with m.If(times != 0):
                    m.d.sync += [
                        times.eq(times - 1),
                        contents.eq(contents + check.cluster_bytes),
                    ]
                with m.Elif(check.bad_header):
                    m.d.sync += [verdict.eq(Result.IMAGE_HEADER), phase.eq(_Phase.DRAIN)]
                with m.Elif(check.bad_size | (length != contents + FRAME_BYTES)):
                    m.d.sync += [verdict.eq(Result.IMAGE_SIZE), phase.eq(_Phase.DRAIN)]
                with m.Else():
                    m.d.comb += kdf.start.eq(1)
                    m.d.sync += [index.eq(block_of("wrap_nonce")), phase.eq(_Phase.DERIVE)]
            with m.Case(_Phase.DERIVE):
                with m.If(kdf.done):
                    m.d.sync += phase.eq(_Phase.OPEN_KEY)
            with m.Case(_Phase.OPEN_KEY):
                m.d.comb += gcm.start.eq(1)
                m.d.sync += [index.eq(0), phase.eq(_Phase.UNWRAP)]
            with m.Case(_Phase.UNWRAP):
                with m.Switch(index):
                    with m.Case(block_of("wrap_nonce")):  # no part of this message
                        m.d.comb += kind.eq(BlockKind.NONE)
                    with m.Case(block_of("wrapped_key"), block_of("wrapped_key") + 1):
                        m.d.comb += kind.eq(BlockKind.TEXT)
                    with m.Case(block_of("wrap_tag")):
                        m.d.comb += kind.eq(BlockKind.TAG)
                    with m.Default():
                        m.d.comb += kind.eq(BlockKind.AAD)
                m.d.comb += [gcm.source.valid.eq(1), gcm.sink.ready.eq(1)]
                with m.If(gcm.source.ready):
                    m.d.sync += index.eq(index + 1)
                with m.If(gcm.done):
                    m.d.sync += [index.eq(block_of("nonce")), phase.eq(_Phase.OPEN_CONTENTS)]
                    with m.If(~gcm.match):
                        m.d.sync += [verdict.eq(Result.IMAGE_KEY), phase.eq(_Phase.DRAIN)]
            with m.Case(_Phase.OPEN_CONTENTS):
                m.d.comb += [gcm.start.eq(1), writer.begin.eq(1)]
                m.d.sync += [index.eq(0), phase.eq(_Phase.AUTHENTICATE)]
            with m.Case(_Phase.AUTHENTICATE):
                m.d.comb += [gcm.source.valid.eq(1), kind.eq(BlockKind.AAD)]
                with m.If(gcm.source.ready):
                    m.d.sync += index.eq(index + 1)
                    with m.If(index == HEADER_BLOCKS - 1):
                        m.d.sync += phase.eq(_Phase.CONTENTS)
            with m.Case(_Phase.CONTENTS):
                m.d.comb += [
                    gcm.source.valid.eq(complete),
                    kind.eq(Mux(blocks_left == 0, BlockKind.TAG, BlockKind.TEXT)),
                    taken.eq(gcm.source.ready),
                    writer.blocks.valid.eq(gcm.sink.valid),
                    gcm.sink.ready.eq(writer.blocks.ready),
                ]
                with m.If(gcm.done):
                    m.d.sync += [
                        verdict.eq(Mux(gcm.match, Result.OK, Result.IMAGE_TAG)),
                        phase.eq(_Phase.DRAIN),
                    ]
            with m.Case(_Phase.DRAIN):
                with m.If(writer.idle):
                    m.d.comb += [self.done.eq(1), self.result.eq(verdict)]
            with m.Default():
                m.d.sync += phase.eq(_Phase.DRAIN)  # P8: the verdict is not OK

        with m.If(writer.refused & ((phase != _Phase.DRAIN) | (verdict == Result.OK))):
            m.d.sync += [verdict.eq(Result.CLUSTER_FAULT), phase.eq(_Phase.DRAIN)]
        # The length is judged first, and what has failed by itself stays what it is: the result
        # of a wrong call does not depend on how soon the hypervisor gives it up.
        aborted = Signal()
        m.d.sync += aborted.eq(aborted | (self.abort & self.busy))
        failed = (phase == _Phase.DRAIN) & (verdict != Result.OK)
        with m.If((aborted | self.abort) & self.busy & (phase != _Phase.LENGTH) & ~failed):
            m.d.sync += [verdict.eq(Result.ABORTED), phase.eq(_Phase.DRAIN)]
        return ResetInserter(self.done)(m)

    def _gather(self, m: Module, *, reading: Value, left: Signal) -> tuple[Signal, Signal, Signal]:
        """Make blocks of the words from staging; return one, whether it is there, its strobe."""
        block = Signal(128)
        words = Signal(range(5))
        complete = Signal()
        taken = Signal()
        m.d.comb += [
            complete.eq(words == 4),
            self.staging.ready.eq(reading & ~complete & (left != 0)),
        ]
        with m.If(self.staging.valid & self.staging.ready):
            m.d.sync += [block.eq(Cat(block[32:], self.staging.payload)), words.eq(words + 1)]
            with m.If(words == 3):
                m.d.sync += left.eq(left - 1)
        with m.If(complete & taken):
            m.d.sync += words.eq(0)
        return block, complete, taken

    def _connect_cipher(self, m: Module, *, kdf: Kdf, gcm: Gcm, unwrap: Value) -> None:
        """Share the cipher, and keep its key: the root key, then what it unlocks, step by step."""
        m.submodules.aes = aes = Aes(sboxes=self.sboxes)
        key = Signal(256)
        first_half = Signal(128)
        is_second = Signal()
        half = Mux(kdf.valid, kdf.half, gcm.sink.payload.data)

        m.d.comb += [
            aes.key.eq(key),
            aes.user.start.eq(kdf.cipher.start | gcm.cipher.start),
            aes.user.blocks.eq(Mux(gcm.cipher.start, gcm.cipher.blocks, kdf.cipher.blocks)),
            kdf.cipher.ready.eq(aes.user.ready),
            gcm.cipher.ready.eq(aes.user.ready),
            kdf.cipher.results.eq(aes.user.results),
            gcm.cipher.results.eq(aes.user.results),
        ]
        with m.If(self.start & ~self.busy):
            m.d.sync += key.eq(self.root_key)
        # The keystream of both halves of the VM key is there before the second replaces the key.
        with m.If(kdf.valid | (unwrap & gcm.sink.valid)):
            m.d.sync += [first_half.eq(half), is_second.eq(~is_second)]
            with m.If(is_second):
                m.d.sync += key.eq(Cat(first_half, half))
