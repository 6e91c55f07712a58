# SPDX-License-Identifier: Apache-2.0
"""What a load and a save share: their phases, registers and parts."""

from typing import Any

from amaranth import Module, Signal
from amaranth.lib import enum
from amaranth.lib.memory import Memory

from blindvisor.hdl.abi import Result
from blindvisor.hdl.config import MachineConfig
from blindvisor.hdl.loader.gcm import BlockKind, Gcm
from blindvisor.hdl.loader.header import HEADER_BLOCKS, HeaderCheck
from blindvisor.hdl.loader.kdf import Kdf
from blindvisor.hdl.loader.reader import ClusterReader
from blindvisor.hdl.loader.records import RecordBlock, SlotRecords
from blindvisor.hdl.loader.savenumber import SaveNumber
from blindvisor.hdl.loader.sha256 import Sha256
from blindvisor.hdl.loader.versions import Versions
from blindvisor.hdl.loader.words import BlockGather, WordScatter
from blindvisor.hdl.loader.writer import ClusterWriter

__all__ = ["Phase", "Process"]


class Phase(enum.Enum, shape=5):
    """Phases of a load and of a save; the number of a check is that of docs/interfaces.md."""

    IDLE = 0
    LENGTH = 1  # load: check 1
    HEADER = 2  # load
    CHECK = 3  # load: checks 2 and 3
    DERIVE = 4
    DERIVING = 5
    OPEN_KEY = 6  # load
    UNWRAP = 7  # load: check 4
    LOOK_UP = 8  # load: check 5
    OPEN_CONTENTS = 9
    AUTHENTICATE = 10  # the header, as AAD
    WRITE = 11  # load: contents, and check 6
    COMMIT = 12  # load: the store's row
    RECORD = 13  # load: the slot's record
    DRAIN = 14
    NUMBER = 15  # save: check 1
    FIND = 16  # save: check 2
    MAKE = 17  # save: the header
    READ = 18  # save: contents
    COUNT = 19  # save: the store's row
    TAG = 20  # save
    FLUSH = 21  # save: the last words are taken


class Process:
    """Registers and parts of the loader, for the files that add its phases.

    All registers but those of ``records`` and ``numbers`` return to their reset values when a load
    or save ends.

    Parameters
    ----------
    m : :class:`Module`
        The loader's module.
    config : :class:`MachineConfig`
        The machine.
    lanes, digit : :class:`int`
        As :class:`Gcm`.

    Attributes
    ----------
    phase, verdict
        Where the process is, and its result; the latter counts in DRAIN.
    index
        Block of the header buffer that is written or read.
    save, vm, x, y, width, height, length
        As sampled with ``start``.
    clusters, times
        Clusters of the VM, once they are counted; what is left of a repeated addition.
    blocks_left
        Blocks of the image that are not gathered; or of memory that are not read.
    kind
        Of the block that is offered to GCM.
    record_block, made
        Of the record, what is needed; block ``index`` of the header of a saved image.
    hashed, hash_finish, digested
        The block that GCM gives is hashed; it is the last; the digest of the contents is there.
    """

    def __init__(self, m: Module, config: MachineConfig, *, lanes: int, digit: int) -> None:
        self.m = m
        self.config = config
        m.submodules.gather = self.gather = BlockGather()
        m.submodules.scatter = self.scatter = WordScatter()
        m.submodules.check = self.check = HeaderCheck(config)
        m.submodules.writer = self.writer = ClusterWriter(config)
        m.submodules.reader = self.reader = ClusterReader(config)
        m.submodules.versions = self.versions = Versions(config)
        m.submodules.records = self.records = SlotRecords(config)
        m.submodules.kdf = self.kdf = Kdf(lanes=lanes)
        m.submodules.gcm = self.gcm = Gcm(lanes=lanes, digit=digit)
        self.sha: Any = Sha256()  # type checkers do not know what it elaborates to
        m.submodules.sha = self.sha
        m.submodules.header = header = Memory(shape=128, depth=HEADER_BLOCKS, init=[])
        self.header_write = header.write_port()
        self.header_read = header.read_port(domain="comb")
        self.numbers = SaveNumber()  # outside the module that is reset

        self.phase = Signal(Phase)
        self.verdict = Signal(Result)
        self.index = Signal(range(HEADER_BLOCKS))
        self.vm = Signal(8)
        self.x, self.y = Signal(4), Signal(4)
        self.width, self.height = Signal(5), Signal(5)
        self.length = Signal(32)
        self.clusters, self.times = Signal(10), Signal(10)
        self.blocks_left = Signal(28)
        self.kind = Signal(BlockKind)
        self.made, self.save = Signal(128), Signal()
        self.record_block = Signal(RecordBlock)
        self.hashed, self.hash_finish, self.digested = Signal(), Signal(), Signal()
        with m.If(self.sha.done):
            m.d.sync += self.digested.eq(1)

    def go(self, phase: Phase) -> None:
        """Make ``phase`` the next one."""
        self.m.d.sync += self.phase.eq(phase)

    def end(self, verdict: Result) -> None:
        """End with this result, once all that is on its way has arrived."""
        self.m.d.sync += [self.verdict.eq(verdict), self.phase.eq(Phase.DRAIN)]

    def count_clusters(self) -> Any:
        """Add ``width`` to ``clusters`` ``times`` times; return the context of what follows."""
        m = self.m
        with m.If(self.times != 0):
            m.d.sync += [
                self.times.eq(self.times - 1),
                self.clusters.eq(self.clusters + self.width),
            ]
        return m.Else()
