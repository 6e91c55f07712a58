# SPDX-License-Identifier: Apache-2.0
"""What the guests must print: computed here, apart from their C code."""

__all__ = [
    "ATTACKER_CLASSES",
    "attacker_tries",
    "bench_checksum",
    "expected",
    "matmul_checksum",
    "mix",
    "victim_checksum",
    "victim_secret",
]

_WORD = 0xFFFF_FFFF


def mix(total: int, word: int) -> int:
    """Return the checksum ``total`` with one more word in it (``bv_mix`` of the runtime)."""
    return ((((total << 5) | (total >> 27)) & _WORD ^ word) + 0x9E37_79B9) & _WORD


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
    registers = 8 + 6 * cores
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
                9 * workers,
                6 * 63,
                (2 + 4 * 12 + 13) * workers,
                12 * (clusters - 1) * workers,
            ),
            strict=True,
        )
    )
