# SPDX-License-Identifier: Apache-2.0
"""Which planted fault of the loader fails which test of its benches, and how that looks."""

from dataclasses import dataclass

__all__ = ["BENCH_CONTROLS", "LOADER", "VARIANTS", "BenchControl"]

LOADER = "blindvisor.hdl.loader.loader:Loader"


@dataclass(frozen=True, kw_only=True)
class BenchControl:
    """A cocotb test that must fail on the loader with a fault.

    Members
    -------
    bench, test : :class:`str`
        Module under ``verification/benches``, and function.
    promises : :class:`tuple` of :class:`str`
        What the test is evidence for.
    fault : :class:`str`
        Name in the catalogue of faults.
    symptom : :class:`str`
        Regular expression: the failure's message, which nothing but this fault causes.
    """

    bench: str
    test: str
    promises: tuple[str, ...]
    fault: str
    symptom: str

    @property
    def name(self) -> str:
        """Where the test is."""
        return f"verification/benches/{self.bench}.py::{self.test}"

    @property
    def controls(self) -> tuple[str, ...]:
        """As of attacks and proofs."""
        return (self.fault,)


BENCH_CONTROLS = (
    BenchControl(
        bench="loader_tamper",
        test="whole_tags_are_compared",
        promises=("P6",),
        fault="tag-32-bits",
        symptom=r"byte 100: ",
    ),
    BenchControl(
        bench="loader_tamper",
        test="whole_tags_are_compared",
        promises=("P6",),
        fault="key-tag",
        symptom=r"byte 96: ",
    ),
    BenchControl(
        bench="loader_tamper",
        test="a_header_is_not_fetched_again",
        promises=("P6",),
        fault="double-fetch",
        symptom=r"another header first: .*Result\.OK",
    ),
    BenchControl(
        bench="loader_saves",
        test="save_numbers_are_never_used_twice",
        promises=("P7",),
        fault="save-number-twice",
        symptom=r"save numbers \[",
    ),
    BenchControl(
        bench="loader_saves",
        test="an_abort_never_lowers_a_row",
        promises=("P6",),
        fault="row-not-kept",
        symptom=r"ABORT -?\d+ cycles before its end: the row's version is 0",
    ),
    BenchControl(
        bench="loader_saves",
        test="an_abort_never_lowers_a_row",
        promises=("P6",),
        fault="line-after-row",
        symptom=r"save, ABORT -?\d+ cycles before its end: .*IMAGE_OLD",
    ),
)
"""In the order of what is attacked."""

VARIANTS = (
    ("tag-32-bits", "save-number-twice", "row-not-kept"),
    ("key-tag", "line-after-row"),
    ("double-fetch",),
)
"""Faults that are planted together, as none disturbs another one's test."""
