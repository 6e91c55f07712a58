# SPDX-License-Identifier: Apache-2.0
"""The trusted loader around black boxes in the place of its cipher and its hash."""

from dataclasses import dataclass
from typing import Any

from amaranth import Array, Cat, Const, Module, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from blindvisor.hdl.config import MachineConfig
from blindvisor.hdl.ionet.flits import LANE_REPLY
from blindvisor.hdl.loader import gcm as gcm_module
from blindvisor.hdl.loader import loader as shipped
from blindvisor.hdl.loader.aes import CipherUser, cipher_lanes
from blindvisor.hdl.loader.gcm import Gcm
from blindvisor.hdl.loader.ghash import Ghash
from blindvisor.hdl.loader.header import HEADER, HEADER_BLOCKS, MAGIC, VERSION
from blindvisor.verification.formal.inner import opened, replaced

__all__ = ["LoaderCopy", "LoaderEnvironment"]

CONFIG = MachineConfig(name="proof", width=2, height=2, memory_bytes=1024)
_BYTES = HEADER.size // 8 + 16 + 16  # header, one block, tag


class _BlackBox(wiring.Component):
    """In the place of AES: any results, after any number of cycles."""

    key: Signal
    short: Signal
    user: Any

    def __init__(self, *, sboxes: int) -> None:
        lanes = cipher_lanes(sboxes)
        self.noise = Signal(128 * lanes)
        self.finish = Signal()
        super().__init__({"key": In(256), "short": In(1), "user": In(CipherUser(lanes))})

    def elaborate(self, platform: object) -> Module:
        """Work from ``start`` until told to finish; take results from outside."""
        m = Module()
        working, result = Signal(), Signal(128)
        m.d.comb += [self.user.ready.eq(~working), self.user.results.eq(result)]
        with m.If(self.finish):
            m.d.sync += [working.eq(0), result.eq(self.noise)]
        with m.If(self.user.start):
            m.d.sync += working.eq(1)
        return m


class _FreeHash(Ghash):
    """In the place of GHASH: any hash, after any number of cycles."""

    def __init__(self, *, digit: int) -> None:
        super().__init__(digit=digit)
        self.noise = Signal(128)
        self.finish = Signal()

    def elaborate(self, platform: object) -> Module:
        """Work from a block until told to finish; the hash comes from outside."""
        m = Module()
        working = Signal()
        m.d.comb += [self.ready.eq(~working), self.hash.eq(self.noise)]
        with m.If(self.clear | self.finish):
            m.d.sync += working.eq(0)
        with m.Elif(self.valid):
            m.d.sync += working.eq(1)
        return m


@dataclass(frozen=True, kw_only=True)
class LoaderCopy:
    """A loader in its environment.

    Members
    -------
    dut, gcm
        The loader and its GCM, for their ports.
    registers : :class:`dict`
        Its registers by dotted name.
    header : :class:`list`
        The blocks of the header that it keeps.
    """

    dut: Any
    gcm: Any
    registers: dict[str, Signal]
    header: list[Value]


class LoaderEnvironment(wiring.Component):
    """Inputs of one or more loaders that get the same image and the same answers.

    AES and GHASH are black boxes, with results of their own in each copy (``noise``, ``hashes``),
    which come after any time, the same in all copies. That this time depends on no secret is the
    claim of :class:`~blindvisor.verification.formal.engine_spec.EngineSpec`.

    ``guided`` is high while an image of one block comes without a pause, all results are such
    that the tags match, and the lane answers at once.

    Parameters
    ----------
    copies : :class:`int`
        Loaders.
    """

    start: Any
    x: Any
    y: Any
    width: Any
    height: Any
    length: Any
    abort: Any
    finish: Any
    hashed: Any
    lane_ready: Any
    lane_replies: Any
    position: Any
    lane_reply: Any
    staging: Any
    keys: Any
    noise: Any
    hashes: Any
    guided: Signal

    def __init__(self, *, copies: int) -> None:
        shared = {
            "start": 1,
            "x": 4,
            "y": 4,
            "width": 5,
            "height": 5,
            "length": 32,
            "abort": 1,
            "finish": 1,
            "hashed": 1,
            "lane_ready": 1,
            "lane_replies": 1,
            "position": 7,
        }
        super().__init__(
            {name: In(width) for name, width in shared.items()}
            | {
                "lane_reply": In(LANE_REPLY),
                "staging": In(stream.Signature(32)),
                "keys": In(256).array(copies),
                "noise": In(128).array(copies),
                "hashes": In(128).array(copies),
                "guided": Out(1),
            }
        )

    def _copy(self, m: Module, n: int) -> LoaderCopy:
        """Place loader ``n``."""
        made: dict[str, Any] = {}
        header: list[Value] = []

        def keep(name: str, part: type) -> Any:
            return lambda **parameters: made.setdefault(name, part(**parameters))

        def look_into(**parameters: Any) -> Memory:
            memory = Memory(**parameters)
            for block in range(HEADER_BLOCKS):
                port = memory.read_port(domain="comb")
                m.d.comb += port.addr.eq(block)
                header.append(port.data)
            return memory

        dut = shipped.Loader(CONFIG, sboxes=4, digit=64)
        with replaced(
            (shipped, "Aes", keep("aes", _BlackBox)),
            (shipped, "Gcm", keep("gcm", Gcm)),
            (shipped, "Memory", look_into),
            (gcm_module, "Ghash", keep("hash", _FreeHash)),
        ):
            m.submodules[f"copy{n}"], registers = opened(dut)
        m.d.comb += [
            dut.root_key.eq(self.keys[n]),
            made["aes"].noise.eq(self.noise[n]),
            made["aes"].finish.eq(self.finish),
            made["hash"].noise.eq(self.hashes[n]),
            made["hash"].finish.eq(self.hashed),
            Cat(dut.start, dut.abort).eq(Cat(self.start, self.abort)),
            Cat(dut.x, dut.y, dut.width, dut.height, dut.length).eq(
                Cat(self.x, self.y, self.width, self.height, self.length)
            ),
            dut.staging.valid.eq(self.staging.valid),
            dut.staging.payload.eq(self.staging.payload),
            dut.lane.command.ready.eq(self.lane_ready),
            dut.lane.reply_valid.eq(self.lane_replies),
            dut.lane.reply.eq(self.lane_reply),
        ]
        if n == 0:
            m.d.comb += self.staging.ready.eq(dut.staging.ready)
            self._guide(m, dut)
        return LoaderCopy(dut=dut, gcm=made["gcm"], registers=registers, header=header)

    def _guide(self, m: Module, dut: Any) -> None:
        """Tell whether all goes as well as it can."""
        fields: Any = {"version": VERSION, "width": 1, "height": 1, "cluster_bytes": 16}
        fields["magic"] = int.from_bytes(MAGIC, "little")
        image = HEADER.const(fields).as_bits()
        words = Array(image >> 32 * n & 0xFFFF_FFFF for n in range(_BYTES // 4))
        taken, owed = Signal(range(_BYTES // 4 + 1)), Signal()
        with m.If(dut.done):
            m.d.sync += taken.eq(0)
        with m.Elif(self.staging.valid & self.staging.ready):
            m.d.sync += taken.eq(taken + 1)
        m.d.sync += owed.eq(dut.lane.command.valid & dut.lane.command.ready)
        # The same for cipher and hash, so that every tag is zero; ones in the second copy.
        results = Cat(Const(-(n & 1), 128) for n in range(len(self.noise)))
        m.d.comb += self.guided.eq(
            (Cat(self.x, self.y, self.abort) == 0)
            & (Cat(*self.noise) == results)
            & (Cat(*self.hashes) == results)
            & ((self.width == 1) & (self.height == 1) & (self.length == _BYTES))
            & Cat(self.start, self.finish, self.hashed, self.lane_ready, self.lane_reply.ok).all()
            & (self.staging.valid & (self.staging.payload == words[taken]))
            & (self.lane_replies == owed)
        )
