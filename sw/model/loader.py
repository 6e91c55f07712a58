# SPDX-License-Identifier: Apache-2.0
"""The trusted loader: takes an image word by word, each once, and checks it as it comes.

The numbers are those of the checks in docs/interfaces.md, "Loading".
"""

from Crypto.Cipher import AES

from blindvisor.hdl.abi import Result
from blindvisor.sw.image.format import (
    ALIGNMENT,
    HEADER_BYTES,
    TAG_BYTES,
    WRAP_AAD_BYTES,
    Header,
    ImageHeaderError,
    ImageKeyError,
)
from blindvisor.sw.image.keys import unwrap_key

__all__ = ["Loader"]


class Loader:
    """One load.

    Parameters
    ----------
    root_key : :class:`bytes`
        The device's.
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
    remaining : :class:`int`
        Words that are still wanted.
    """

    def __init__(
        self, *, root_key: bytes, length: int, width: int, height: int, memory_bytes: int
    ) -> None:
        self._root_key = root_key
        self._length = length
        self._size = (width, height)
        self._memory_bytes = memory_bytes
        self._taken = bytearray()
        self.result = Result.NONE
        self.memories: list[bytes] = []
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
            vm_key = unwrap_key(
                header.wrapped_key,
                header.wrap_tag,
                root_key=self._root_key,
                nonce=header.wrap_nonce,
                aad=bytes(self._taken[:WRAP_AAD_BYTES]),
            )
        except ImageKeyError:
            return Result.IMAGE_KEY
        self._cipher = AES.new(vm_key, AES.MODE_GCM, nonce=header.nonce)
        self._cipher.update(bytes(self._taken))
        self._bytes_per_cluster = size
        return Result.NONE

    def _finish(self) -> Result:
        # 5
        try:
            plain = self._cipher.decrypt_and_verify(
                bytes(self._taken[HEADER_BYTES:-TAG_BYTES]), bytes(self._taken[-TAG_BYTES:])
            )
        except ValueError:
            return Result.IMAGE_TAG
        size = self._bytes_per_cluster
        self.memories = [plain[n : n + size] for n in range(0, len(plain), size)]
        return Result.OK
