# SPDX-License-Identifier: Apache-2.0
"""The scenario of ``blindvisor run``: encrypted images, one VM each, until all have ended."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from blindvisor.sim.events import emit
from blindvisor.sw.hypervisor.hypervisor import Hypervisor
from blindvisor.sw.image.format import HEADER_BYTES, Header

__all__ = ["SLICE", "boot"]

SLICE = 1000
"""Cycles between looks at the TTYs; the resolution of the run times reported."""

_EXIT = re.compile(rb"^\[exit (\d+)\]\r?$", re.MULTILINE)


def boot(hypervisor: Hypervisor, params: dict[str, Any]) -> dict[str, Any]:
    """Load every image into a VM of its own, start them all, and follow their TTYs.

    VM ``i`` gets TTY channel ``i`` as guest channel 0 and, where the machine has one and
    ``mailboxes`` is true, mailbox ``i`` as guest channel 1. It has ended when it has printed the
    line ``[exit N]``.

    Parameters
    ----------
    params : :class:`dict`
        ``images``: file names; ``places``: ``[x, y]`` or None for each; ``cycles``: how long the
        VMs may run; ``mailboxes`` (default true).

    Returns
    -------
    :class:`dict`
        ``vms``: for each, ``vm``, place, ``load_cycles``, ``run_cycles``, ``exit`` (None: still
        running), ``output`` and ``faults``; ``run_cycles`` of all.
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
    for vm in vms:
        vm["output"] = vm["output"].decode(errors="replace")
        vm["faults"] = _faults(hypervisor, vm)
    return {"vms": vms, "run_cycles": ran}


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
            if not (data := link.tty_read(index)):
                continue
            vm["output"] += data
            emit("tty", vm=vm["vm"], text=data.decode("latin-1"))
            if vm["exit"] is None and (ended := _EXIT.search(vm["output"])):
                vm["exit"] = int(ended[1])
                vm["run_cycles"] = ran
        emit("running", done=ran, total=cycles)
    return ran


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
