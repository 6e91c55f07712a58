# SPDX-License-Identifier: Apache-2.0
"""Proofs of the loader's parts."""

from blindvisor.hdl.config import MachineConfig
from blindvisor.verification.formal.engine_spec import EngineSpec
from blindvisor.verification.formal.hash_spec import HashSpec
from blindvisor.verification.formal.loader_cipher_spec import LoaderCipherSpec
from blindvisor.verification.formal.loader_ends_spec import LoaderEndsSpec
from blindvisor.verification.formal.loader_environment import WELL, Wish
from blindvisor.verification.formal.loader_pair_spec import LoaderPairSpec
from blindvisor.verification.formal.loader_place_spec import LoaderPlaceSpec
from blindvisor.verification.formal.loader_spec import LoaderSpec
from blindvisor.verification.formal.proof import Engine, Proof
from blindvisor.verification.formal.savenumber_spec import SaveNumberSpec
from blindvisor.verification.formal.versions_spec import VersionsSpec

__all__ = ["LOADER_PROOFS"]

THREE_ROWS = MachineConfig(name="three-rows", width=2, height=2, store_rows=3)

LOADER_PROOFS = (
    Proof(
        name="save-number",
        promises=("P7",),
        spec=SaveNumberSpec,
        engine=Engine.INDUCTION,
        steps=2,
        base_steps=4,
        cover_steps=6,
        seconds=60,
        controls=("save-number-twice", "save-number-unasked"),
    ),
    Proof(
        name="loader-engine",
        promises=("P7",),
        spec=EngineSpec,
        cover_steps=60,
        seconds=300,
        controls=("cipher-time-of-key",),
        large=True,
    ),
    Proof(
        name="hash",
        promises=("P7",),
        spec=HashSpec,
        engine=Engine.INDUCTION,
        base_steps=20,
        controls=("hash-time-of-data", "hash-kept"),
    ),
    Proof(
        name="versions",
        promises=("P6",),
        spec=lambda: VersionsSpec(THREE_ROWS),
        engine=Engine.INDUCTION,
        base_steps=12,
        controls=("store-row-of-another", "store-row-elsewhere", "store-read-tells"),
    ),
    Proof(
        name="loader",
        promises=("P3", "P6"),
        spec=LoaderSpec,
        engine=Engine.INDUCTION,
        cover_steps=600,
        runs=tuple(lambda wish=wish: LoaderSpec(wish) for wish in Wish),
        seconds=600,
        controls=(
            "contents-tag",
            "key-tag",
            "tag-32-bits",
            "old-version-accepted",
            "old-state-accepted",
            "fork-accepted",
            "load-keeps-version",
            "store-row-not-kept",
            "store-not-durable",
            "reader-writes",
            "resumed-always",
        ),
        large=True,
    ),
    Proof(
        name="loader-place",
        promises=("P3", "P6"),
        spec=LoaderPlaceSpec,
        engine=Engine.INDUCTION,
        cover_steps=600,
        runs=tuple(
            lambda wish=wish, size=size: LoaderPlaceSpec(wish, size=size)
            for wish, size in ((Wish.LOAD, 2), (Wish.SAVE, 1))
        ),
        seconds=600,
        controls=(
            "reader-cluster-zero",
            "loader-strays",
            "loader-mixes-words",
            "loader-skips-last",
        ),
        large=True,
    ),
    Proof(
        name="loader-ends",
        promises=("P8",),
        spec=LoaderEndsSpec,
        engine=Engine.INDUCTION,
        cover_steps=600,
        runs=tuple(
            lambda wish=wish, size=size: LoaderEndsSpec(wish, size=size)
            for wish, size in ((Wish.LOAD, 2), (Wish.SAVE, 1))
        ),
        seconds=600,
        controls=("load-hangs", "save-hangs"),
        large=True,
    ),
    Proof(
        name="loader-ciphers",
        promises=("P6", "P7"),
        spec=LoaderCipherSpec,
        engine=Engine.INDUCTION,
        cover_steps=600,
        runs=tuple(lambda wish=wish: LoaderCipherSpec(wish) for wish in (Wish.SAVE, Wish.REPORT)),
        seconds=600,
        controls=(
            "report-key-of-machine",
            "save-key-of-all",
            "keystream-repeats",
            "tag-without-header",
            "tag-without-mask",
        ),
        large=True,
    ),
    Proof(
        name="loader-secrets",
        promises=("P7",),
        spec=LoaderPairSpec,
        engine=Engine.INDUCTION,
        cover_steps=600,
        runs=tuple(lambda wish=wish: LoaderPairSpec(wish) for wish in WELL),
        seconds=900,
        controls=(
            "loader-address-tells",
            "loader-waits-by-key",
            "save-in-the-clear",
            "report-tells-key",
        ),
        large=True,
    ),
)
