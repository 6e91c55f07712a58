# SPDX-License-Identifier: Apache-2.0
"""Scenario: a part of a VM's life, between two power-offs of the machine it is on."""

import re
from pathlib import Path
from typing import Any

from blindvisor.hdl.abi import REPORT_WORDS
from blindvisor.sim.boot import ATTEST, PATIENCE, SLICE, SuspendError, suspend
from blindvisor.sim.events import emit
from blindvisor.sw.files import write_whole
from blindvisor.sw.hypervisor.errors import CallError
from blindvisor.sw.hypervisor.hypervisor import Hypervisor, Vm
from blindvisor.sw.image.format import HEADER_BYTES, Header

__all__ = ["live"]

_COUNT = re.compile(r"^count (\d+)$", re.MULTILINE)


def live(hypervisor: Hypervisor, params: dict[str, Any]) -> dict[str, Any]:
    """Try images that must be refused, then let the counter of ``image`` live.

    Parameters
    ----------
    params : :class:`dict`
        ``refused``: file names of images to try first; ``image``: file name of what is run;
        ``at``: ``[x, y]``; ``counts``: how many numbers it shall print before anything else;
        ``nonce``: of a report, in hexadecimal, or None; ``saves``: file names, to each of which it
        is saved, with some counting between them, and destroyed after the last.

    Returns
    -------
    :class:`dict`
        ``results``: name of the result of each image in ``refused``; ``result``: that of
        ``image``, the rest is there if it is OK: ``output``; ``report`` in hexadecimal, or None;
        ``answers``: what the guest answered before each save.
    """
    results = []
    for name in params["refused"]:
        result, vm = _load(hypervisor, Path(name), (0, 0))
        results.append(result)
        if vm is not None:  # it had to be refused, and was not
            vm.destroy()
    at = params["at"]
    result, vm = _load(hypervisor, Path(params["image"]), (at[0], at[1]))
    if vm is None:
        return {"results": results, "result": result}
    config = hypervisor.link.config
    mailbox = config.tty_channels
    vm.grant(0, 0)
    vm.grant(mailbox, 1)
    vm.grant(mailbox + config.mailbox_channels, 2)
    vm.start()
    output = _count(hypervisor, "", params["counts"])
    nonce = params["nonce"]
    report = None if nonce is None else _attest(hypervisor, mailbox, bytes.fromhex(nonce))
    answers = []
    for name in params["saves"]:
        if answers:
            vm.resume()
            hypervisor.mailbox_send(mailbox, 0)  # any word: it was not restored, and goes on
            output = _count(hypervisor, output, params["counts"])
        answers.append(suspend(hypervisor, mailbox))
        vm.freeze()
        emit("step", what=f"saving as {Path(name).name}")
        write_whole(Path(name), vm.save())
    vm.destroy()
    return {
        "results": results,
        "result": result,
        "output": output,
        "report": None if report is None else report.hex(),
        "answers": answers,
    }


def _load(hypervisor: Hypervisor, path: Path, at: tuple[int, int]) -> tuple[str, Vm | None]:
    emit("step", what=f"loading {path.name}")
    image = path.read_bytes()
    header = Header.from_bytes(image[:HEADER_BYTES])
    vm = hypervisor.create(width=header.width, height=header.height, at=at)
    try:
        vm.load(image)
    except CallError as error:
        return error.result.name, None
    return "OK", vm


def _count(hypervisor: Hypervisor, output: str, more: int) -> str:
    """Let the guest print so many more numbers; return what it has printed."""
    emit("step", what="counting")
    wanted = len(_COUNT.findall(output)) + more
    for _ in range(0, PATIENCE, SLICE):
        hypervisor.link.advance(SLICE)
        output += hypervisor.link.tty_read(0).decode("latin-1")
        if len(_COUNT.findall(output)) >= wanted:
            return output
    raise SuspendError(f"the guest did not count within {PATIENCE} cycles, but: {output[-200:]}")


def _attest(hypervisor: Hypervisor, mailbox: int, nonce: bytes) -> bytes:
    emit("step", what="asking for a report")
    words = [ATTEST, *(int.from_bytes(nonce[at : at + 4], "little") for at in range(0, 32, 4))]
    report = b""
    for _ in range(0, PATIENCE, SLICE):
        while words and hypervisor.mailbox_send(mailbox, words[0]):
            words.pop(0)
        while (word := hypervisor.mailbox_receive(mailbox)) is not None:
            report += word.to_bytes(4, "little")
        if len(report) >= 4 * REPORT_WORDS:
            return report
        hypervisor.link.advance(SLICE)
    raise SuspendError(f"the guest gave {len(report)} bytes of a report within {PATIENCE} cycles")
