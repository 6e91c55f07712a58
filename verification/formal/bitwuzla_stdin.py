# SPDX-License-Identifier: Apache-2.0
"""Bitwuzla as a program: its wheel holds the library alone, and smtbmc talks to a process."""

import ctypes
import re
import sys

import bitwuzla

__all__ = ["main"]


def main() -> None:
    """Read SMT-LIB commands from standard input and execute each as soon as it is complete."""
    if "--help" in sys.argv:
        print("reads SMT-LIB from standard input; --lang smt2 is the only language")
        return
    options = bitwuzla.Options()
    options.set(bitwuzla.Option.PRODUCE_MODELS, True)
    parser = bitwuzla.Parser(bitwuzla.TermManager(), options)
    libc = ctypes.CDLL(None)
    command: list[str] = []
    depth = 0
    for line in sys.stdin:
        code = line.split(";", 1)[0]
        if not code.strip():
            continue
        depth += code.count("(") - code.count(")")
        command.append(code)
        if depth > 0:
            continue
        text = "".join(command)
        command.clear()
        if text.strip() == "(exit)":
            return
        if level := re.fullmatch(r"\s*\((push|pop)\s+(\d+)\)\s*", text):
            # The parser forgets between calls how many levels there are; the solver does not.
            solver = parser.bitwuzla()
            (solver.push if level[1] == "push" else solver.pop)(int(level[2]))
            continue
        parser.parse(text, False, False)
        libc.fflush(None)
        sys.stdout.flush()


if __name__ == "__main__":
    main()
