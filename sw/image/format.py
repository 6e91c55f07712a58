# SPDX-License-Identifier: Apache-2.0
"""Layout of a VM image, and what every image must be.

All numbers are little-endian. The header is 160 bytes, then come the encrypted memories of the
clusters, row by row, then a tag of 16 bytes (docs/image.md).
"""

import struct
from dataclasses import dataclass
from enum import IntFlag
from typing import ClassVar, Self

from blindvisor.hdl.abi import Result

__all__ = [
    "ALIGNMENT",
    "ALLOWED_FLAGS",
    "FORMAT_VERSION",
    "HEADER_BYTES",
    "IDENTITY_BYTES",
    "KEY_BYTES",
    "MAGIC",
    "MEASUREMENT_BYTES",
    "NONCE_BYTES",
    "TAG_BYTES",
    "WRAP_AAD_BYTES",
    "Flags",
    "Header",
    "ImageError",
    "ImageHeaderError",
    "ImageKeyError",
    "ImageMigrationError",
    "ImageSizeError",
    "ImageTagError",
    "check_total",
    "image_bytes",
]

MAGIC = b"BLNDVSR1"
FORMAT_VERSION = 2
HEADER_BYTES = 160
TAG_BYTES = 16
KEY_BYTES = 32
NONCE_BYTES = 12
IDENTITY_BYTES = 16
MEASUREMENT_BYTES = 32

ALIGNMENT = 16
"""``bytes per cluster`` is a multiple of this: a block of AES."""

WRAP_AAD_BYTES = 48
"""First bytes of the header, which the tag of the key wrap covers too."""

_LAYOUT = struct.Struct("<8s HH BBH III 4s 16s 12s4s 32s 16s 12s4s 32s")


class Flags(IntFlag):
    """What kind of image this is."""

    SAVED = 1
    """Made of a frozen VM by a machine, not packed."""
    MIGRATE = 2
    """Who holds the root keys may pack the VM's saved states for another machine."""
    MIGRATED = 4
    """Which was done: the key is wrapped, not derived."""


_PACKED = Flags(0)

ALLOWED_FLAGS = (
    _PACKED,
    Flags.MIGRATE,
    Flags.SAVED,
    Flags.SAVED | Flags.MIGRATE,
    Flags.SAVED | Flags.MIGRATE | Flags.MIGRATED,
)


class ImageError(ValueError):
    """An image, or what shall become one, is not acceptable."""

    result: ClassVar[Result] = Result.NONE
    """What the machine's loader calls it; NONE: it never gets there."""


class ImageHeaderError(ImageError):
    """Magic, version, flags, a reserved byte, or what only a saved image may have."""

    result = Result.IMAGE_HEADER


class ImageSizeError(ImageError):
    """Rectangle, bytes per cluster and length do not fit each other."""

    result = Result.IMAGE_SIZE


class ImageKeyError(ImageError):
    """The VM key cannot be unwrapped with this device's key, or the header was changed."""

    result = Result.IMAGE_KEY


class ImageTagError(ImageError):
    """Header or contents are not what was packed."""

    result = Result.IMAGE_TAG


class ImageMigrationError(ImageError):
    """A saved image must not leave its machine."""


@dataclass(frozen=True, kw_only=True)
class Header:
    """The first 160 bytes of an image.

    Parameters
    ----------
    flags : :class:`Flags`
        One of :data:`ALLOWED_FLAGS`.
    width, height : :class:`int`
        Rectangle of the VM in clusters, 1 to 16 (not 16 x 16).
    bytes_per_cluster : :class:`int`
        Bytes of each cluster's memory that the image holds, a positive multiple of 16.
    security_version : :class:`int`
        32 bits, the owner's to choose.
    generation : :class:`int`
        32 bits: saves in this VM's life; 0 unless SAVED.
    identity : :class:`bytes`
        16 bytes, the owner's to choose.
    wrap_nonce, nonce : :class:`bytes`
        12 bytes each: of the key wrap and of the contents. The latter is the save number of an
        image whose key is derived.
    wrapped_key, wrap_tag : :class:`bytes`
        32 and 16 bytes: the encrypted VM key and its tag.
    measurement : :class:`bytes`
        32 bytes: SHA-256 of the contents at the first launch; zeros unless SAVED.
    """

    flags: Flags = _PACKED
    width: int
    height: int
    bytes_per_cluster: int
    security_version: int
    generation: int = 0
    identity: bytes
    wrap_nonce: bytes
    wrapped_key: bytes
    wrap_tag: bytes
    nonce: bytes
    measurement: bytes = bytes(MEASUREMENT_BYTES)

    @property
    def saved(self) -> bool:
        """Whether it is the image of a frozen VM."""
        return Flags.SAVED in self.flags

    @property
    def sealed(self) -> bool:
        """Whether its key is derived from the save number, so that one machine alone has it."""
        return self.saved and Flags.MIGRATED not in self.flags

    @property
    def image_bytes(self) -> int:
        """Length of the whole image."""
        return image_bytes(self.width, self.height, self.bytes_per_cluster)

    def to_bytes(self) -> bytes:
        """Return the 160 bytes; only fields that the format can hold are accepted.

        Raises
        ------
        :exc:`ImageSizeError`
            If rectangle or bytes per cluster are none that an image can have.
        :exc:`ImageHeaderError`
            If the flags are, or a generation or a measurement does not go with them.
        :exc:`ImageError`
            If another field has the wrong length or range.
        """
        self.check_geometry()
        for name in ("security_version", "generation"):
            if not 0 <= (value := getattr(self, name)) < 1 << 32:
                raise ImageError(
                    f"{name.replace('_', ' ')} must be from 0 to {(1 << 32) - 1}, not {value}"
                )
        for name, length in (
            ("identity", IDENTITY_BYTES),
            ("wrap_nonce", NONCE_BYTES),
            ("wrapped_key", KEY_BYTES),
            ("wrap_tag", TAG_BYTES),
            ("nonce", NONCE_BYTES),
            ("measurement", MEASUREMENT_BYTES),
        ):
            if len(value := getattr(self, name)) != length:
                raise ImageError(f"{name} must have {length} bytes, not {len(value)}")
        self._check_flags()
        return _LAYOUT.pack(
            MAGIC,
            FORMAT_VERSION,
            self.flags,
            self.width,
            self.height,
            0,
            self.bytes_per_cluster,
            self.security_version,
            self.generation,
            bytes(4),
            self.identity,
            self.wrap_nonce,
            bytes(4),
            self.wrapped_key,
            self.wrap_tag,
            self.nonce,
            bytes(4),
            self.measurement,
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read the header at the start of ``data``; sizes are not judged here.

        Raises
        ------
        :exc:`ImageSizeError`
            If there are fewer than 160 bytes.
        :exc:`ImageHeaderError`
            If magic, version, flags or a reserved byte is wrong, or an image that is not SAVED has
            a generation or a measurement.
        """
        if len(data) < HEADER_BYTES:
            raise ImageSizeError(f"a header must have {HEADER_BYTES} bytes, not {len(data)}")
        (
            magic,
            version,
            flags,
            width,
            height,
            reserved,
            bytes_per_cluster,
            security_version,
            generation,
            reserved_2,
            identity,
            wrap_nonce,
            reserved_3,
            wrapped_key,
            wrap_tag,
            nonce,
            reserved_4,
            measurement,
        ) = _LAYOUT.unpack_from(data)
        if magic != MAGIC:
            raise ImageHeaderError(f"magic must be {MAGIC!r}, not {magic!r}")
        if version != FORMAT_VERSION:
            raise ImageHeaderError(f"format version must be {FORMAT_VERSION}, not {version}")
        if reserved or any(reserved_2 + reserved_3 + reserved_4):
            raise ImageHeaderError("reserved bytes of the header must be 0")
        header = cls(
            flags=Flags(flags),
            width=width,
            height=height,
            bytes_per_cluster=bytes_per_cluster,
            security_version=security_version,
            generation=generation,
            identity=identity,
            wrap_nonce=wrap_nonce,
            wrapped_key=wrapped_key,
            wrap_tag=wrap_tag,
            nonce=nonce,
            measurement=measurement,
        )
        header._check_flags()
        return header

    def _check_flags(self) -> None:
        if self.flags not in ALLOWED_FLAGS:
            allowed = ", ".join(str(int(flags)) for flags in ALLOWED_FLAGS)
            raise ImageHeaderError(f"flags must be one of {allowed}, not {int(self.flags):#06x}")
        if not self.saved and (self.generation or any(self.measurement)):
            raise ImageHeaderError(
                "generation and measurement must be 0 in an image that is not a saved one"
            )

    def check_geometry(self) -> None:
        """Raise :exc:`ImageSizeError` unless some machine could have such a VM."""
        if not (1 <= self.width <= 16 and 1 <= self.height <= 16):
            raise ImageSizeError(
                f"a VM must have from 1 x 1 to 16 x 16 clusters, not {self.width} x {self.height}"
            )
        if self.width == self.height == 16:
            raise ImageSizeError("a VM must be smaller than 16 x 16 clusters")
        if self.bytes_per_cluster <= 0 or self.bytes_per_cluster % ALIGNMENT:
            raise ImageSizeError(
                f"bytes per cluster must be a positive multiple of {ALIGNMENT},"
                f" not {self.bytes_per_cluster}"
            )
        if self.bytes_per_cluster > 1 << 20:
            raise ImageSizeError(
                f"bytes per cluster must be at most {1 << 20}, not {self.bytes_per_cluster}"
            )

    def check_length(self, length: int) -> None:
        """Raise :exc:`ImageSizeError` unless an image with this header has ``length`` bytes."""
        if length != self.image_bytes:
            problem = "is cut short" if length < self.image_bytes else "has bytes after its end"
            raise ImageSizeError(
                f"the image {problem}: its header asks for {self.image_bytes} bytes,"
                f" there are {length}"
            )


def image_bytes(width: int, height: int, bytes_per_cluster: int) -> int:
    """Return the length of an image."""
    return HEADER_BYTES + width * height * bytes_per_cluster + TAG_BYTES


def check_total(length: int) -> None:
    """Raise :exc:`ImageSizeError` if no image has that length."""
    if length < HEADER_BYTES + TAG_BYTES or length % ALIGNMENT:
        raise ImageSizeError(
            f"an image must have at least {HEADER_BYTES + TAG_BYTES} bytes and a multiple of"
            f" {ALIGNMENT}, not {length}"
        )
