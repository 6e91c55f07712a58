# SPDX-License-Identifier: Apache-2.0
"""The trusted loader: takes an image word by word, each once, and checks it as it comes; gives a
saved image word by word; makes reports.

The numbers are those of the checks in docs/interfaces.md, "Loading" and "Saving".
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from Crypto.Cipher import AES

from blindvisor.hdl.abi import Result
from blindvisor.sw.image.format import (
    ALIGNMENT,
    HEADER_BYTES,
    TAG_BYTES,
    Flags,
    Header,
    ImageHeaderError,
    ImageKeyError,
)
from blindvisor.sw.image.keys import machine_identity, report_key, save_number
from blindvisor.sw.image.pack import contents_key, seal
from blindvisor.sw.image.report import Report
from blindvisor.sw.model.store import Row, Store

__all__ = ["Loader", "Record", "SaveNumbers", "Saver", "make_report"]

LAST_NUMBER = 0xFFFF_FFFF

SAVED_DEPTH = 16
"""Words of a saved image that wait at most."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """What the loader keeps of the image that it accepted for a slot."""

    flags: Flags
    width: int
    height: int
    bytes_per_cluster: int
    security_version: int
    generation: int
    identity: bytes
    measurement: bytes


class SaveNumbers:
    """Counts the saves of one power-on; ``epoch`` None: the key store has none."""

    def __init__(self, epoch: int | None) -> None:
        self._epoch = epoch
        self.count = 0

    def take(self) -> bytes | None:
        """Return a number that was never used, or None."""
        if self._epoch is None or self.count == LAST_NUMBER:
            return None
        self.count += 1
        return save_number(self._epoch, self.count)


class Loader:
    """One load.

    Parameters
    ----------
    root_key : :class:`bytes`
        The device's.
    store : :class:`~blindvisor.sw.model.store.Store`
        What is remembered of VM identities.
    length : :class:`int`
        What VM_LOAD gave: bytes.
    width, height : :class:`int`
        Rectangle of the VM, in clusters.
    memory_bytes : :class:`int`
        Memory of a cluster.

    Members
    -------
    result : :class:`~blindvisor.hdl.abi.Result`
        NONE while words are wanted.
    memories : list of :class:`bytes`
        Plaintext by cluster, row by row; only when ``result`` is OK (P6, P7).
    record : :class:`Record` or None
        Likewise.
    line : :class:`int`
        Generation of the store's row from now on; likewise.
    remaining : :class:`int`
        Words that are still wanted.
    """

    def __init__(
        self,
        *,
        root_key: bytes,
        store: Store,
        length: int,
        width: int,
        height: int,
        memory_bytes: int,
    ) -> None:
        self._root_key = root_key
        self._store = store
        self._length = length
        self._size = (width, height)
        self._memory_bytes = memory_bytes
        self._taken = bytearray()
        self.result = Result.NONE
        self.memories: list[bytes] = []
        self.record: Record | None = None
        self.line = 0
        contents = length - HEADER_BYTES - TAG_BYTES
        # 1
        if contents < 0 or length % ALIGNMENT or contents > width * height * memory_bytes:
            self.result = Result.IMAGE_SIZE

    @property
    def remaining(self) -> int:
        """Words that are still wanted."""
        return (self._length - len(self._taken)) // 4 if self.result is Result.NONE else 0

    def feed(self, word: int) -> None:
        """Take the next word."""
        self._taken += word.to_bytes(4, "little")
        if len(self._taken) == HEADER_BYTES:
            self.result = self._check_header()
        elif len(self._taken) == self._length:
            self.result = self._finish()

    def _check_header(self) -> Result:
        try:
            header = Header.from_bytes(bytes(self._taken))
        except ImageHeaderError:
            return Result.IMAGE_HEADER  # 2
        size = header.bytes_per_cluster
        # 3
        if (
            (header.width, header.height) != self._size
            or size == 0
            or size % ALIGNMENT
            or size > self._memory_bytes
            or self._length != header.image_bytes
        ):
            return Result.IMAGE_SIZE
        # 4
        try:
            key = contents_key(header, root_key=self._root_key)
        except ImageKeyError:
            return Result.IMAGE_KEY
        # 5
        place = self._store.find(header.identity)
        row = None if place is None else self._store.rows[place]
        # A new row would only say version 0, never saved.
        says_nothing = row is None and header.security_version == 0 and not header.saved
        if place is None and not says_nothing:
            return Result.STORE_FULL
        if row is not None and (
            header.security_version < row.version
            or (header.saved and header.generation < row.generation)
        ):
            return Result.IMAGE_OLD
        self._row = Row(
            identity=header.identity,
            version=header.security_version,
            generation=header.generation if header.saved or row is None else row.generation,
        )
        self._place = None if says_nothing else place
        self.line = self._row.generation
        self._header = header
        self._cipher = AES.new(key, AES.MODE_GCM, nonce=header.nonce)
        self._cipher.update(bytes(self._taken))
        return Result.NONE

    def _finish(self) -> Result:
        # 6
        try:
            plain = self._cipher.decrypt_and_verify(
                bytes(self._taken[HEADER_BYTES:-TAG_BYTES]), bytes(self._taken[-TAG_BYTES:])
            )
        except ValueError:
            return Result.IMAGE_TAG
        if self._place is not None:
            self._store.write(self._place, self._row)
        header = self._header
        size = header.bytes_per_cluster
        self.memories = [plain[n : n + size] for n in range(0, len(plain), size)]
        self.record = Record(
            flags=header.flags,
            width=header.width,
            height=header.height,
            bytes_per_cluster=size,
            security_version=header.security_version,
            generation=header.generation,
            identity=header.identity,
            measurement=header.measurement if header.saved else hashlib.sha256(plain).digest(),
        )
        return Result.OK


class Saver:
    """One save.

    Parameters
    ----------
    root_key, store
        As those of :class:`Loader`.
    numbers : :class:`SaveNumbers`
        Of this power-on.
    record : :class:`Record`
        Of the VM's slot.
    line : :class:`int`
        Generation of the store's row when the slot was loaded or last saved.
    memories : sequence of :class:`bytes`
        All memory of the VM's clusters, row by row.

    Members
    -------
    result : :class:`~blindvisor.hdl.abi.Result`
        NONE while words are left.
    """

    def __init__(
        self,
        *,
        root_key: bytes,
        store: Store,
        numbers: SaveNumbers,
        record: Record,
        line: int,
        memories: Sequence[bytes],
    ) -> None:
        self.line = line
        self._store = store
        self._image = b""
        self._given = 0
        self.result = Result.NONE
        number = numbers.take()
        if number is None:
            self.result = Result.NO_NONCE
            return
        place = store.find(record.identity)
        row = None if place is None else store.rows[place]
        version, generation = (0, 0) if row is None else (row.version, row.generation)
        if place is None or generation == LAST_NUMBER:
            self.result = Result.STORE_FULL
            return
        if record.security_version < version or line != generation:
            self.result = Result.IMAGE_OLD
            return
        self._place = place
        self._row = Row(identity=record.identity, version=version, generation=generation + 1)
        self._image = seal(
            memories,
            width=record.width,
            height=record.height,
            root_key=root_key,
            number=number,
            flags=record.flags,
            identity=record.identity,
            security_version=record.security_version,
            generation=self._row.generation,
            measurement=record.measurement,
        )

    @property
    def waiting(self) -> int:
        """Words that can be taken now; those of the tag only once the row is written."""
        if self.result is not Result.NONE:
            return 0
        contents = (len(self._image) - TAG_BYTES) // 4
        if self._given < contents:
            return min(SAVED_DEPTH, contents - self._given)
        if self._given == contents:
            self._store.write(self._place, self._row)
            self.line = self._row.generation
        return len(self._image) // 4 - self._given

    def take(self) -> int:
        """Give the next word; only while ``waiting`` is not 0."""
        at = 4 * self._given
        self._given += 1
        if at + 4 == len(self._image):
            self.result = Result.OK
        return int.from_bytes(self._image[at : at + 4], "little")


def make_report(record: Record, nonce: bytes, *, root_key: bytes) -> bytes:
    """Return the report of a slot's VM for a verifier's nonce."""
    report = Report(machine=machine_identity(root_key), nonce=nonce, **vars(record))
    return report.signed(report_key(root_key))
