# SPDX-License-Identifier: Apache-2.0
"""The scenario of ``blindvisor run``: encrypted images, one VM each, until all have ended."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from blindvisor.sim.events import emit
from blindvisor.sw.files import write_whole
from blindvisor.sw.hypervisor.errors import HypervisorError
from blindvisor.sw.hypervisor.hypervisor import Hypervisor
from blindvisor.sw.image.format import HEADER_BYTES, TAG_BYTES, Header

__all__ = ["ATTEST", "SLICE", "SUSPEND", "SuspendError", "boot", "suspend"]

SLICE = 1000
"""Cycles between looks at the TTYs; the resolution of the run times reported."""

SUSPEND, ATTEST = 1, 2
"""Words on a mailbox that ask a guest to suspend itself, or for a report (sw/guests/counter.c)."""

PATIENCE = 2_000_000
"""Cycles in which a guest must have suspended itself."""

_EXIT = re.compile(rb"^\[exit (\d+)\]\r?$", re.MULTILINE)


class SuspendError(HypervisorError):
    """A guest did not do what it was asked for: it is not the hypervisor's to force it."""


def boot(hypervisor: Hypervisor, params: dict[str, Any]) -> dict[str, Any]:
    """Load every image into a VM of its own, start them all, and follow their TTYs.

    VM ``i`` gets TTY channel ``i`` as guest channel 0 and, where the machine has one and
    ``mailboxes`` is true, mailbox ``i`` as guest channel 1; the first VM likewise the attestation
    channel as guest channel 2. It has ended when it has printed the line ``[exit N]``.

    Parameters
    ----------
    params : :class:`dict`
        ``images``: file names; ``places``: ``[x, y]`` or None for each; ``cycles``: how long the
        VMs may run; ``mailboxes`` (default true); ``save``: a file name or None (default). If
        given, the first VM is asked after that time to suspend itself, frozen and saved there.

    Returns
    -------
    :class:`dict`
        ``vms``: for each, ``vm``, place, ``load_cycles``, ``run_cycles``, ``exit`` (None: still
        running), ``output``, ``faults`` and ``saved``; ``run_cycles`` of all.

    Raises
    ------
    :exc:`SuspendError`
        If the VM that shall be saved has ended, or does not answer.
    """
    now = _clock(hypervisor)
    vms = [
        _load(hypervisor, Path(name), place, index, now, mailbox=params.get("mailboxes", True))
        for index, (name, place) in enumerate(zip(params["images"], params["places"], strict=True))
    ]
    for vm in vms:
        hypervisor.vm_start(vm["vm"])
        emit("started", vm=vm["vm"])
    ran = _run(hypervisor, vms, params["cycles"])
    saved = params.get("save")
    if saved is not None:
        _save(hypervisor, vms[0], Path(saved))
    for vm in vms:
        vm["saved"] = saved if vm is vms[0] else None
        vm["output"] = vm["output"].decode(errors="replace")
        vm["faults"] = _faults(hypervisor, vm)
    return {"vms": vms, "run_cycles": ran}


def suspend(hypervisor: Hypervisor, mailbox: int, *, patience: int = PATIENCE) -> int:
    """Ask the owner of a mailbox channel to suspend itself; return the word that it answers.

    Raises
    ------
    :exc:`SuspendError`
        If it does not answer within ``patience`` cycles.
    """
    while hypervisor.mailbox_receive(mailbox) is not None:
        pass  # what it said before
    if not hypervisor.mailbox_send(mailbox, SUSPEND):
        raise SuspendError(f"the guest does not read mailbox channel {mailbox}: it is full")
    for _ in range(0, patience, SLICE):
        hypervisor.link.advance(SLICE)
        if (word := hypervisor.mailbox_receive(mailbox)) is not None:
            return word
    raise SuspendError(
        f"the guest did not answer on mailbox channel {mailbox} within {patience} cycles"
    )


def _save(hypervisor: Hypervisor, vm: dict[str, Any], path: Path) -> None:
    number = vm["vm"]
    if vm["exit"] is not None:
        raise SuspendError(f"vm{number} has ended before it could be saved")
    suspend(hypervisor, hypervisor.link.config.tty_channels)
    _listen(hypervisor, 0, vm)
    hypervisor.vm_freeze(number)
    memory = vm["width"] * vm["height"] * hypervisor.link.config.memory_bytes
    total = HEADER_BYTES + memory + TAG_BYTES
    image = hypervisor.vm_save(
        number, progress=lambda done: emit("saving", vm=number, done=done, total=total)
    )
    write_whole(path, image)
    emit("saved", vm=number, path=str(path))


def _clock(hypervisor: Hypervisor) -> Callable[[], int]:
    """Cycles since reset; the model, whose calls take no time, has no such count."""
    link: Any = hypervisor.link
    return (lambda: link.cycles) if hasattr(link, "cycles") else (lambda: 0)


def _load(
    hypervisor: Hypervisor,
    path: Path,
    place: tuple[int, int] | None,
    index: int,
    now: Callable[[], int],
    *,
    mailbox: bool,
) -> dict[str, Any]:
    image = path.read_bytes()
    header = Header.from_bytes(image[:HEADER_BYTES])
    config = hypervisor.link.config
    vm = hypervisor.create(
        width=header.width, height=header.height, at=None if place is None else (place[0], place[1])
    )
    vm.grant(index, 0)
    if mailbox and index < config.mailbox_channels and config.guest_channels > 1:
        vm.grant(config.tty_channels + index, 1)
    if mailbox and index == 0 and config.attest_channels and config.guest_channels > 2:
        vm.grant(config.tty_channels + config.mailbox_channels, 2)
    status = vm.status()
    emit("created", vm=vm.number, x=status.x, y=status.y, width=status.width, height=status.height)
    began = now()
    vm.load(
        image,
        progress=lambda done: emit("loading", vm=vm.number, done=done, total=len(image)),
    )
    return {
        "vm": vm.number,
        "image": str(path),
        "x": status.x,
        "y": status.y,
        "width": status.width,
        "height": status.height,
        "load_cycles": now() - began,
        "run_cycles": None,
        "exit": None,
        "output": b"",
    }


def _run(hypervisor: Hypervisor, vms: list[dict[str, Any]], cycles: int) -> int:
    link = hypervisor.link
    ran = 0
    while ran < cycles and any(vm["exit"] is None for vm in vms):
        step = min(SLICE, cycles - ran)
        link.advance(step)
        ran += step
        for index, vm in enumerate(vms):
            if _listen(hypervisor, index, vm) and vm["exit"] is None:
                ended = _EXIT.search(vm["output"])
                if ended is not None:
                    vm["exit"], vm["run_cycles"] = int(ended[1]), ran
        emit("running", done=ran, total=cycles)
    return ran


def _listen(hypervisor: Hypervisor, channel: int, vm: dict[str, Any]) -> bool:
    """Take what a VM has printed; return whether there was anything."""
    if data := hypervisor.link.tty_read(channel):
        vm["output"] += data
        emit("tty", vm=vm["vm"], text=data.decode("latin-1"))
    return bool(data)


def _faults(hypervisor: Hypervisor, vm: dict[str, Any]) -> list[dict[str, Any]]:
    """What the SMMUs of its clusters have denied."""
    width = hypervisor.link.config.width
    found = []
    for y in range(vm["y"], vm["y"] + vm["height"]):
        for x in range(vm["x"], vm["x"] + vm["width"]):
            status = hypervisor.cluster_status(y * width + x)
            if status.faults:
                first = status.first_fault.name
                found.append({"x": x, "y": y, "denied": status.faults, "first": first})
    return found
