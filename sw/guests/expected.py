# SPDX-License-Identifier: Apache-2.0
"""What the guests must print: computed here, apart from their C code."""

import re
from collections.abc import Iterator
from itertools import islice

__all__ = [
    "ATTACKER_CLASSES",
    "VICTIM_SECRET",
    "attacker_tries",
    "bench_checksum",
    "expected",
    "matmul_checksum",
    "mix",
    "victim_checksum",
]

_WORD = 0xFFFF_FFFF


def mix(total: int, word: int) -> int:
    """Return the checksum ``total`` with one more word in it (``bv_mix`` of the runtime)."""
    rotated = (total << 5 | total >> 27) & _WORD
    return ((rotated ^ word) + 0x9E37_79B9) & _WORD


def expected(width: int, height: int) -> int:
    """Return the checksum that matmul prints in a VM of ``width`` x ``height`` clusters."""
    return matmul_checksum(width, height)


def matmul_checksum(width: int, height: int) -> int:
    """Return matmul's checksum: over C = A B, row by row."""
    size, seed = 16, width + 16 * height
    a = [[(3 * r + 5 * i + seed) & 15 for i in range(size)] for r in range(size)]
    b = [[(7 * r + i + (seed >> 2)) & 31 for i in range(size)] for r in range(size)]
    total = 0
    for row in a:
        for column in zip(*b, strict=True):
            total = mix(total, sum(x * y for x, y in zip(row, column, strict=True)))
    return total


ATTACKER_CLASSES = (
    "foreign memory",
    "foreign devices",
    "fetches",
    "beyond the memory",
    "undefined registers",
    "parts of registers",
    "read-only registers",
    "other channels",
    "channel registers",
    "other windows",
)
"""The attacker's classes, in the order of its lines."""


def attacker_tries(width: int, height: int, cores: int = 1) -> dict[str, int]:
    """Return how many tries of each class the attacker makes in such a VM."""
    clusters = width * height
    workers = clusters * cores
    foreign = 255 - clusters  # 15, 15 means the own cluster
    registers = 9 + 6 * cores
    several = clusters > 1
    return dict(
        zip(
            ATTACKER_CLASSES,
            (
                2 * foreign * workers,
                6 * foreign,
                (4 + several) * workers,
                18 * (1 + several) * workers,
                2 * (1024 - registers),
                4 * registers * (1 + several) * workers,
                10 * workers,
                6 * 63,
                (2 + 4 * 12 + 13) * workers,
                12 * (clusters - 1) * workers,
            ),
            strict=True,
        )
    )


VICTIM_SECRET = bytes.fromhex("5ee7c27ea5711db10decd50df151a5c1")
"""What victim fills its memory with, over and over; nothing outside the VM may ever hold it."""

_VICTIM_WORDS = 512


def victim_checksum(width: int, height: int) -> int:
    """Return the checksum that victim prints while nobody has touched its memory."""
    words = [int.from_bytes(VICTIM_SECRET[4 * i : 4 * i + 4], "little") for i in range(4)]
    total = 0
    for cluster in range(width * height):
        part = cluster
        for i in range(_VICTIM_WORDS):
            part = mix(part, words[i % 4])
        total = mix(total, part)
    return total


def bench_checksum(rounds: int = 2) -> int:
    """Return the checksum that bench prints after that many rounds."""
    total = check = 0
    for seed in range(1, rounds + 1):
        parts = (_lists(seed), _matrices(seed), _states(seed))
        for part in parts:
            check = _crc16(check, part)
            total = mix(total, part)
    return mix(total, check)


def _random(seed: int) -> Iterator[int]:
    while True:
        seed ^= seed << 13 & _WORD
        seed ^= seed >> 17
        seed ^= seed << 5 & _WORD
        yield seed


def _lists(seed: int) -> int:
    drawn = list(islice(_random(seed), 24))
    values = [word & 0xFF for word in drawn]
    searched = values[::-1]  # the list is built from its end
    total = mix(0, searched.index(drawn[-1] & 0xFF))
    for value in (*values, *sorted(values)):
        total = mix(total, value)
    return total


def _matrices(seed: int) -> int:
    size = 6
    drawn = list(islice(_random(seed), 2 * size * size))
    a = [word & 0xFF for word in drawn[0::2]]
    b = [word & 0xFFFF for word in drawn[1::2]]
    total = 0
    for i in range(size):
        for j in range(size):
            element = sum(a[i * size + k] * b[k * size + j] for k in range(size))
            total = mix(total, element & _WORD)
    return total


def _states(seed: int) -> int:
    letters = (word >> 8 & 15 for word in islice(_random(seed), 48))
    words = "".join("0123456789.,,+x1"[letter] for letter in letters).split(",")
    integers = sum(re.fullmatch(r"\+?[0-9]+", word) is not None for word in words)
    fractions = sum(re.fullmatch(r"\+?[0-9]+\.[0-9]*", word) is not None for word in words)
    empty = words.count("")
    total = 0
    for count in (empty, integers, fractions, len(words) - empty - integers - fractions):
        total = mix(total, count)
    return total


def _crc16(check: int, word: int) -> int:
    for i in range(32):
        check ^= word >> i & 1
        check = check >> 1 ^ (0xA001 if check & 1 else 0)
    return check
