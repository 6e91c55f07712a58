# SPDX-License-Identifier: Apache-2.0
"""What happens on the machine while it is measured. Every function is a scenario of its own."""

import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from blindvisor.hdl.abi import Call, StatusKind
from blindvisor.hdl.config import MachineConfig
from blindvisor.sim.recording import Signal, record, stop_recording
from blindvisor.sw.hypervisor.hypervisor import Hypervisor, Vm
from blindvisor.verification.attacks.programs import read_frames

__all__ = ["WATCHED", "covert", "life_cycle", "mailbox", "run_victim", "signals"]

VICTIM = 1

WATCHED = tuple(
    ("*minerva", name)
    for name in (
        "reset",
        *(f"ibus__{name}" for name in ("cyc", "stb", "adr", "dat_r", "ack", "err")),
        *(f"dbus__{name}" for name in ("cyc", "stb", "we", "adr", "sel", "dat_w", "dat_r")),
        *("dbus__ack", "dbus__err"),
        *("w_timer_interrupt", "w_software_interrupt", "w_external_interrupt"),
    )
)
"""All that a core exchanges with its cluster: reset, both buses, interrupts."""

ALIGN = 4096
"""A VM starts at a multiple of this: whole frames of the I/O network on every machine."""

_SLICE = 2_000
_MOST = 3_000_000
_MARGIN = 500  # cycles after a guest's end that are compared too


def signals(config: MachineConfig, clusters: list[int]) -> list[Signal]:
    """Return what is recorded of some clusters."""
    return [
        Signal(f"blindvisor.tile_{n % config.width}_{n // config.width}.core{core}.minerva", name)
        for n in clusters
        for core in range(config.cores)
        for _, name in WATCHED
    ]


def run_victim(hypervisor: Hypervisor, params: dict[str, Any]) -> dict[str, Any]:
    """Run a guest, alone or among attackers, and record its cores' buses.

    Parameters
    ----------
    params : :class:`dict`
        ``victim``: ``image`` (file name) and ``at``; ``attackers``: the same, and ``tty`` or None;
        ``first``: whether they start before the victim; ``seed``: of the hypervisor's calls, or
        None: it makes none; ``clusters``: the victim's; ``trace``: file name; ``cycles``: to
        record, or None: until the guest has ended.

    Returns
    -------
    :class:`dict`
        ``said``; ``calls``: how many the hypervisor made meanwhile.
    """
    link: Any = hypervisor.link
    rng = random.Random(params["seed"])
    attackers = []
    for number, attacker in enumerate(params["attackers"]):
        vm = _create(hypervisor, VICTIM + 1 + number, attacker)
        if attacker["tty"] is not None:
            vm.grant(attacker["tty"], 0)
        if params["first"]:
            vm.start()
        attackers.append((vm, attacker))
    victim = _create(hypervisor, VICTIM, params["victim"])
    victim.grant(0, 0)
    link.advance(-link.cycles % ALIGN)
    cycles = params["cycles"]
    record(
        Path(params["trace"]),
        signals(hypervisor.link.config, params["clusters"]),
        cycles=cycles or _MOST,
    )
    begin = link.cycles
    victim.start()
    for vm, _ in attackers if not params["first"] else ():
        vm.start()
    calls = 0
    said = b""
    while link.cycles - begin < (cycles or _MOST):
        if params["seed"] is None:
            link.advance(min(_SLICE, (cycles or _MOST) - (link.cycles - begin)))
        else:
            calls += _disturb(hypervisor, attackers if params["first"] else [], rng)
        said += link.tty_read(0)
        if cycles is None and re.search(rb"\[exit \d+\]\n", said):
            link.advance(_MARGIN)
            break
    stop_recording()
    return {"said": said.decode("latin-1"), "calls": calls}


def _create(hypervisor: Hypervisor, vm: int, what: dict[str, Any]) -> Vm:
    """Create and load a VM."""
    x, y, width, height = what["at"]
    handle = hypervisor.vm_create(vm, x=x, y=y, width=width, height=height)
    handle.load(Path(what["image"]).read_bytes())
    return handle


def _disturb(
    hypervisor: Hypervisor, attackers: list[tuple[Vm, dict[str, Any]]], rng: random.Random
) -> int:
    """Make one of all the calls that a hypervisor can make; return how many it needed.

    None ends, freezes or resumes the victim. Without attackers: only those that change nothing.
    """
    config = hypervisor.link.config
    cluster = rng.randrange(config.clusters)
    what = rng.random()
    if what < 0.02 and attackers:
        vm, again = rng.choice(attackers)
        vm.destroy()
        _create(hypervisor, vm.number, again)
        if again["tty"] is not None:
            vm.grant(again["tty"], 0)
        vm.start()
        return 5
    if what < 0.2 and attackers:
        vm, _ = rng.choice(attackers)
        vm.freeze()
        vm.resume()
        return 2
    if what < 0.3:
        hypervisor.fault_clear(cluster)
    elif what < 0.5 and attackers:
        hypervisor.invoke(Call.VM_CREATE, VICTIM + 1, rng.randrange(20), 0, 1, 1)
    elif what < 0.6:
        hypervisor.invoke(Call.CHANNEL_GRANT, 0, VICTIM + 1, rng.randrange(6))
    else:
        hypervisor.status(StatusKind.CLUSTER, cluster)
    return 1


def life_cycle(hypervisor: Hypervisor, params: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the cycles of each call in the life of some VMs, one after another.

    Parameters
    ----------
    params : :class:`dict`
        ``vms``: each ``image`` and ``at``.

    Notes
    -----
    From the hypervisor's first register access to its last: what the accesses themselves take (one
    cycle each) is in it. A load is as fast as the loader: its image is always there.
    """
    link: Any = hypervisor.link
    lives = []
    for what in params["vms"]:
        x, y, width, height = what["at"]
        image = Path(what["image"]).read_bytes()
        life: dict[str, Any] = {"clusters": width * height, "image": len(image)}

        def timed(name: str, call: Callable[[], Any], life: dict[str, Any] = life) -> Any:
            link.advance(-link.cycles % ALIGN)
            begin = link.cycles
            result = call()
            life[name] = link.cycles - begin
            return result

        vm = timed(
            "create",
            lambda x=x, y=y, width=width, height=height: hypervisor.vm_create(
                VICTIM, x=x, y=y, width=width, height=height
            ),
        )
        timed("load", lambda vm=vm, image=image: vm.load(image))
        timed("grant", lambda vm=vm: vm.grant(0, 0))
        timed("start", vm.start)
        timed("freeze", vm.freeze)
        timed("resume", vm.resume)
        timed("status", lambda: hypervisor.cluster_status(0))
        timed("destroy", vm.destroy)
        lives.append(life)
    return lives


def mailbox(hypervisor: Hypervisor, params: dict[str, Any]) -> list[int]:
    """Return the cycles from a word to the guest ``mailbox`` to its answer, word by word.

    Parameters
    ----------
    params : :class:`dict`
        ``victim``: ``image`` and ``at``; ``words``: how many.
    """
    link: Any = hypervisor.link
    channel = link.config.tty_channels
    vm = _create(hypervisor, VICTIM, params["victim"])
    vm.grant(0, 0)
    vm.grant(channel, 1)
    vm.start()
    said = b""
    while b"ready" not in said:
        link.advance(_SLICE)
        said += link.tty_read(0)
    times = []
    rng = random.Random(1)
    for word in range(1, params["words"] + 1):
        link.advance(_SLICE + rng.randrange(ALIGN))  # from any place in a frame
        begin = link.cycles
        hypervisor.mailbox_send(channel, word)
        while (answer := hypervisor.mailbox_receive(channel)) is None:
            if link.cycles - begin > _MOST:
                raise RuntimeError(f"the guest must answer the word {word}, and does not")
        if answer != word + 1:
            raise RuntimeError(f"the guest must answer {word} by {word + 1}, not {answer}")
        times.append(link.cycles - begin)
    return times


def covert(hypervisor: Hypervisor, params: dict[str, Any]) -> list[int]:
    """Run both ends of a covert channel; return what the receiver measured, symbol by symbol.

    Parameters
    ----------
    params : :class:`dict`
        ``receiver``: ``image`` and ``at``; ``sender``: the same, or None; ``symbols``, ``period``;
        ``calls``: bits by which the hypervisor itself sends, or None. A sender begins with the
        receiver's first symbol.
    """
    link: Any = hypervisor.link
    period = params["period"]
    sender = None
    if params["sender"] is not None:
        sender = _create(hypervisor, VICTIM + 1, params["sender"])
        sender.grant(1, 0)
    receiver = _create(hypervisor, VICTIM, params["receiver"])
    receiver.grant(0, 0)
    link.advance(-link.cycles % ALIGN)
    begin = link.cycles
    receiver.start()
    if sender is not None:
        link.advance(begin + period - link.cycles)
        sender.start()
    for number, bit in enumerate(params["calls"] or []):
        # The receiver's symbol begins a period after its start.
        link.advance(max(0, begin + (number + 1) * period - link.cycles))
        while bit and link.cycles < begin + (number + 2) * period - period // 4:
            hypervisor.status(StatusKind.CLUSTER, 0)
    said = b""
    for _ in range(_MOST // _SLICE):
        if (found := read_frames(said)).traps is not None:
            break
        link.advance(_SLICE)
        said += link.tty_read(0)
    else:
        raise RuntimeError("the receiver must get to its end")
    times = [word for _, word in found.words]
    if len(times) != params["symbols"]:
        raise RuntimeError(f"the receiver must measure {params['symbols']} times, not {len(times)}")
    return times
