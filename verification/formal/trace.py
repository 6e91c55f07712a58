# SPDX-License-Identifier: Apache-2.0
"""Counterexamples as text: the specification's own signals, time step by time step."""

from pathlib import Path

from vcd.reader import TokenKind, tokenize

__all__ = ["listing"]


def listing(path: Path, *, most: int = 24, latest: int = 80) -> str:
    """Return the values of the top's signals in every time step of a VCD file.

    Parameters
    ----------
    most : :class:`int`
        Signals shown: those that change come first.
    latest : :class:`int`
        Times shown, the last ones.
    """
    names: dict[str, str] = {}
    values: dict[str, list[str]] = {}
    now: dict[str, str] = {}
    depth = 0
    times: list[int] = []
    with path.open("rb") as file:
        for token in tokenize(file):
            if token.kind is TokenKind.SCOPE:
                depth += 1
            elif token.kind is TokenKind.UPSCOPE:
                depth -= 1
            elif token.kind is TokenKind.VAR and depth == 1:
                if "$" not in token.var.ref_str and token.var.ref_str not in ("clk", "smt_clock"):
                    names[token.var.id_code] = token.var.ref_str
            elif token.kind is TokenKind.CHANGE_TIME:
                if times:
                    _sample(names, now, values)
                times.append(token.time_change)
            elif token.kind in (TokenKind.CHANGE_SCALAR, TokenKind.CHANGE_VECTOR):
                change = (
                    token.scalar_change
                    if token.kind is TokenKind.CHANGE_SCALAR
                    else token.vector_change
                )
                value = change.value
                now[change.id_code] = f"{value:x}" if isinstance(value, int) else str(value)
    rows = {names[code]: seen for code, seen in values.items()}
    ordered = sorted(rows, key=lambda name: (len(set(rows[name])) == 1, name))
    width = max((len(name) for name in ordered[:most]), default=0)
    return "\n".join(
        f"  {name:<{width}}  " + " ".join(f"{value:>8}" for value in rows[name][-latest:])
        for name in ordered[:most]
    )


def _sample(names: dict[str, str], now: dict[str, str], values: dict[str, list[str]]) -> None:
    for code in names:
        values.setdefault(code, []).append(now.get(code, "x"))
