# SPDX-License-Identifier: Apache-2.0
"""The trusted loader around black boxes in the place of its cipher and its hash."""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, ClassVar

from amaranth import Array, Cat, Const, Module, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In

from blindvisor.hdl.config import MachineConfig
from blindvisor.hdl.ionet.flits import LANE_REPLY
from blindvisor.hdl.loader import gcm as gcm_module
from blindvisor.hdl.loader import loader as shipped
from blindvisor.hdl.loader import process as process_module
from blindvisor.hdl.loader import records as records_module
from blindvisor.hdl.loader.gcm import Gcm
from blindvisor.hdl.loader.header import HEADER, MAGIC, VERSION, Flags
from blindvisor.hdl.loader.kdf import Kdf
from blindvisor.hdl.loader.process import Phase, Process
from blindvisor.hdl.loader.report import _Phase as Report  # pyright: ignore[reportPrivateUsage]
from blindvisor.hdl.loader.store import STORE_ROW
from blindvisor.verification.formal.inner import opened, replaced
from blindvisor.verification.formal.loader_boxes import BlackBox, FreeDigest, FreeHash

__all__ = ["CONFIG", "WELL", "LoaderCopy", "LoaderEnvironment", "Wish", "given_away"]

CONFIG = MachineConfig(name="proof", width=2, height=2, vms=2, memory_bytes=1024, store_rows=1)
_PROCESS = "process."
_WRONG_BIT = 100  # of a tag


class Wish(Enum):
    """What a run is about."""

    LOAD = auto()
    FORK = auto()  # a save; the row has a higher generation than the slot
    SAVE = auto()
    REPORT = auto()
    WRONG_KEY = auto()  # loads that must fail: one bit of a tag is another
    WRONG_TAG = auto()
    OLD_VERSION = auto()  # the row has a higher version, or generation
    OLD_STATE = auto()
    NEW_VERSION = auto()  # higher than that of the row
    RESTORE = auto()  # a saved state; all rows are free
    ABORTED = auto()  # while a row is offered to the store, which then takes it


WELL = (Wish.LOAD, Wish.SAVE, Wish.REPORT)
"""What ends well."""


@dataclass(frozen=True, kw_only=True)
class LoaderCopy:
    """A loader in its environment.

    Members
    -------
    dut, process, aes, gcm, kdf, hash
        The loader, and some of its parts, for their ports.
    registers : :class:`dict`
        Its registers by dotted name, those of its process without a prefix.
    header, records : :class:`list`
        The blocks of the header that it keeps; those of all slots' records.
    """

    dut: Any
    process: Process
    aes: Any
    gcm: Any
    kdf: Any
    hash: Any
    registers: dict[str, Signal]
    header: list[Value]
    records: list[Value]


class LoaderEnvironment(wiring.Component):
    """Inputs of one or more loaders that get the same orders, image, answers and rows of the store.

    AES, GHASH and SHA-256 are black boxes. The first two have results of their own in each copy
    (``noise``, ``hashes``), and so have the words that are read of the clusters (``memory``);
    digests are the same in all copies. They come after any time, the same in all copies. That
    this time depends on no secret is the claim of
    :class:`~blindvisor.verification.formal.engine_spec.EngineSpec` and
    :class:`~blindvisor.verification.formal.hash_spec.HashSpec`.

    In a run (:mod:`~blindvisor.verification.formal.runs`) there are loads, saves or reports alone
    (``wish``); an image of one block per cluster comes without a pause, all results are such that
    the tags are zero, and lane, store and whoever takes words answer at once.

    Parameters
    ----------
    copies : :class:`int`
        Loaders.
    wish : :class:`Wish`
        What a run is about. Claims and assumptions are the same for each.
    config : :class:`MachineConfig`
        The machine.
    size : :class:`int`
        Width and height of the rectangle of a run, which lies in the mesh's last corner.
    """

    helpful: list[tuple[Value, Any]]
    more: ClassVar[dict[str, int]] = {}
    """Inputs of one specification alone, by their widths."""

    start: Any
    save: Any
    slot: Any
    epoch: Any
    epoch_valid: Any
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
    lane_ok: Any
    memory: Any
    sha_takes: Any
    sha_ends: Any
    digest: Any
    saved_ready: Any
    store_ready: Any
    store_valid: Any
    store_row: Any
    report_valid: Any
    report_vm: Any
    report_nonce: Any
    report_cancel: Any
    report_ready: Any
    staging: Any
    keys: Any
    noise: Any
    hashes: Any

    def __init__(
        self,
        *,
        copies: int,
        wish: Wish = Wish.LOAD,
        config: MachineConfig = CONFIG,
        size: int = 1,
    ) -> None:
        self.wish = wish
        self.config = config
        self.size = size
        self.helpful = []
        shared = {
            "start": 1,
            "save": 1,
            "slot": 8,
            "epoch": 64,
            "epoch_valid": 1,
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
            "lane_ok": 1,
            "sha_takes": 1,
            "sha_ends": 1,
            "digest": 256,
            "saved_ready": 1,
            "store_ready": 1,
            "store_valid": 1,
            "store_row": STORE_ROW,
            "report_valid": 1,
            "report_vm": 8,
            "report_nonce": 256,
            "report_cancel": 1,
            "report_ready": 1,
            "position": 7,
        }
        super().__init__(
            {name: In(width) for name, width in (shared | self.more).items()}
            | {
                "staging": In(stream.Signature(32)),
                "keys": In(256).array(copies),
                "memory": In(32).array(copies),
                "noise": In(128).array(copies),
                "hashes": In(128).array(copies),
            }
        )

    def _copy(self, m: Module, n: int) -> LoaderCopy:
        """Place loader ``n``."""
        made: dict[str, Any] = {}
        header: list[Value] = []
        records: list[Value] = []

        def keep(name: str, part: type) -> Any:
            return lambda **parameters: made.setdefault(name, part(**parameters))

        def look_into(kept: list[Value]) -> Any:
            def place(**parameters: Any) -> Memory:
                memory = Memory(**parameters)
                for block in range(memory.depth):
                    port = memory.read_port(domain="comb")
                    m.d.comb += port.addr.eq(block)
                    kept.append(port.data)
                return memory

            return place

        def look_at(*arguments: Any, **parameters: Any) -> Process:
            return made.setdefault("process", Process(*arguments, **parameters))

        dut = shipped.Loader(self.config, sboxes=4, digit=64)
        with replaced(
            (shipped, "Aes", keep("aes", BlackBox)),
            (shipped, "Process", look_at),
            (process_module, "Gcm", keep("gcm", Gcm)),
            (process_module, "Kdf", keep("kdf", Kdf)),
            (process_module, "Sha256", keep("sha", FreeDigest)),
            (process_module, "Memory", look_into(header)),
            (records_module, "Memory", look_into(records)),
            (gcm_module, "Ghash", keep("hash", FreeHash)),
        ):
            m.submodules[f"copy{n}"], registers = opened(dut)
        m.d.comb += [
            dut.root_key.eq(self.keys[n]),
            made["aes"].noise.eq(self.noise[n]),
            made["aes"].finish.eq(self.finish),
            made["hash"].noise.eq(self.hashes[n]),
            made["hash"].finish.eq(self.hashed),
            made["sha"].noise.eq(self.digest),
            made["sha"].takes.eq(self.sha_takes),
            made["sha"].ends.eq(self.sha_ends),
            Cat(dut.start, dut.save, dut.vm).eq(Cat(self.start, self.save, self.slot)),
            Cat(dut.abort, dut.epoch, dut.epoch_valid).eq(
                Cat(self.abort, self.epoch, self.epoch_valid)
            ),
            dut.saved.ready.eq(self.saved_ready),
            dut.store.request.ready.eq(self.store_ready),
            dut.store.response.eq(Cat(self.store_valid, self.store_row)),
            dut.report.valid.eq(self.report_valid),
            dut.report.vm.eq(self.report_vm),
            dut.report.nonce.eq(self.report_nonce),
            dut.report.cancel.eq(self.report_cancel),
            dut.report.words.ready.eq(self.report_ready),
            Cat(dut.x, dut.y, dut.width, dut.height, dut.length).eq(
                Cat(self.x, self.y, self.width, self.height, self.length)
            ),
            dut.staging.valid.eq(self.staging.valid),
            dut.staging.payload.eq(self.staging.payload),
            dut.lane.command.ready.eq(self.lane_ready),
            dut.lane.reply_valid.eq(self.lane_replies),
            dut.lane.reply.eq(_reply(ok=self.lane_ok, data=self.memory[n])),
        ]
        if n == 0:
            m.d.comb += self.staging.ready.eq(dut.staging.ready)
            self._help(m, dut)
        return LoaderCopy(
            dut=dut,
            process=made["process"],
            aes=made["aes"],
            gcm=made["gcm"],
            kdf=made["kdf"],
            hash=made["hash"],
            registers=_named(registers, made["process"]),
            header=header,
            records=records,
        )

    def _help(self, m: Module, dut: Any) -> None:
        """Say what inputs should be so that all goes as well as it can."""
        size = self.size
        length = HEADER.size // 8 + 16 * size**2 + 16  # header, a block per cluster, tag
        fields: Any = {"version": VERSION, "width": size, "height": size, "cluster_bytes": 16}
        fields["magic"] = int.from_bytes(MAGIC, "little")
        row: dict[Wish, Any] = {
            Wish.SAVE: {"valid": 1},
            Wish.OLD_VERSION: {"valid": 1, "version": 5},
            Wish.OLD_STATE: {"valid": 1, "generation": 5},
            Wish.FORK: {"valid": 1, "generation": 5},
            Wish.NEW_VERSION: {"valid": 1, "version": 5, "generation": 2},
        }
        fields |= {
            Wish.WRONG_KEY: {"wrap_tag": 1 << _WRONG_BIT},
            Wish.OLD_VERSION: {"security_version": 3},
            Wish.OLD_STATE: {"flags": Flags.SAVED.value, "generation": 3},
            Wish.NEW_VERSION: {"security_version": 7},
            Wish.RESTORE: {"flags": Flags.SAVED.value, "generation": 3},
            Wish.ABORTED: {"security_version": 7},
        }.get(self.wish, {})
        image = HEADER.const(fields).as_bits()
        for n in range(4 * size**2 - 4):  # words of the contents, which differ; the last are zero
            image |= n + 1 << HEADER.size + 32 * n
        if self.wish is Wish.WRONG_TAG:
            image |= 1 << 8 * (length - 16) + _WRONG_BIT
        words = Array(image >> 32 * n & 0xFFFF_FFFF for n in range(length // 4))
        taken, owed, asked = Signal(range(length // 4 + 1)), Signal(), Signal()
        with m.If(dut.done):
            m.d.sync += taken.eq(0)
        with m.Elif(self.staging.valid & self.staging.ready):
            m.d.sync += taken.eq(taken + 1)
        m.d.sync += [
            owed.eq(dut.lane.command.valid & dut.lane.command.ready),
            asked.eq(dut.store.request.valid & dut.store.request.ready),
        ]
        reports = self.wish is Wish.REPORT
        aborts = self.wish is Wish.ABORTED
        writes = dut.store.request.valid & dut.store.request.payload.write
        aborted = Signal(name="was_aborted")
        m.d.sync += aborted.eq(writes)
        at_once = (
            *(self.finish, self.hashed, self.lane_ready, self.lane_ok, self.epoch_valid),
            *(self.sha_takes, self.sha_ends, self.saved_ready),
            *(self.report_ready, self.staging.valid),
            *(self.slot, self.report_vm),
        )
        self.helpful = [
            *((given, 1) for given in at_once),
            (self.x, self.config.width - size),
            (self.y, self.config.height - size),
            (self.width, size),
            (self.height, size),
            (self.length, length),
            (self.start, not reports),
            (self.save, self.wish in (Wish.SAVE, Wish.FORK)),
            (self.report_valid, reports),
            (self.store_valid, asked),
            (self.store_ready, ~writes | aborted if aborts else 1),
            (self.store_row, STORE_ROW.const(row.get(self.wish, {}))),
            (self.abort, writes & aborts),
            (self.position, _WRONG_BIT),
            (self.staging.payload, words[taken]),
            (self.lane_replies, owed),
        ]
        # The same for cipher and hash, so that every tag is zero; ones in the second copy. A report
        # shows what the cipher gives.
        for results in (self.noise, self.hashes, self.memory, self.keys):
            given = results[1:] if results is self.keys or not reports else ()
            self.helpful += [(value, Const(-1, len(value))) for value in given]


def given_away(copy: LoaderCopy) -> dict[str, Value]:
    """Return when something that is made of secrets, to be seen, is there, by what it is."""
    r = copy.registers
    phase, reporting = r["phase"], r["reporter.phase"]
    return {
        "ciphertext": (phase == Phase.READ) & copy.gcm.sink.valid,
        "tag": (phase == Phase.TAG) & copy.gcm.done,
        "identity": (reporting == Report.MACHINE) & copy.kdf.valid & ~copy.kdf.done,
        "MAC": (reporting == Report.MAC) & copy.kdf.done,
    }


def _reply(*, ok: Value, data: Value) -> Value:
    """Return a reply of the lane."""
    given = {"ok": ok, "data": data}
    return Cat(given[name] for name, _ in LANE_REPLY)


def _named(registers: dict[str, Signal], process: Process) -> dict[str, Signal]:
    """Return the registers, those of the process by the names that its attributes have.

    The cipher's key, which has no name of its own, is the only one of its width: ``key``.
    """
    attributes = {id(value): name for name, value in vars(process).items()}
    named: dict[str, Signal] = {}
    for name, register in registers.items():
        shown = attributes.get(id(register), name.removeprefix(_PROCESS))
        named["key" if len(register) == 256 else shown] = register
    return named
