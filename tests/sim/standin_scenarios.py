# SPDX-License-Identifier: Apache-2.0
"""Scenarios for the stand-in, run in the simulator's process by test_session.py."""

import os

from blindvisor.hdl.abi import Call, HypervisorRegister
from blindvisor.sim.events import emit
from blindvisor.sw.hypervisor.link import BusError, LinkTimeout

ARG0, ARG1, ARG2 = (HypervisorRegister.ARG0.value + 4 * n for n in range(3))
COMMAND, STAGING = HypervisorRegister.COMMAND.value, HypervisorRegister.STAGING.value
STATUS, VALUE0 = HypervisorRegister.STATUS.value, HypervisorRegister.VALUE0.value


def registers(hypervisor, params):
    link = hypervisor.link
    before = link.cycles
    values = [
        link.read(HypervisorRegister.ID.value),
        link.read(HypervisorRegister.VALUE1.value),
    ]
    taken = link.cycles - before
    refused = []
    for access in (lambda: link.read(0xFFC), lambda: link.write(0xFFC, 1)):
        try:
            access()
        except BusError as error:
            refused.append([error.address, error.write])
    return {"values": values, "cycles": taken, "refused": refused}


def calls(hypervisor, params):
    """A call of ``length`` cycles: when is it seen to end, and what if that is too late?"""
    link = hypervisor.link
    link.write(ARG0, params["length"])
    link.write(COMMAND, Call.VM_START.value)
    began = link.cycles
    try:
        link.wait_done(params["timeout"])
    except LinkTimeout as error:
        return {"error": str(error), "cycles": link.cycles - began}
    waited = link.cycles - began
    try:  # clear, and at once ask again: the old interrupt must not count
        link.write(STATUS, 1)
        link.wait_done(10)
    except LinkTimeout:
        return {"cycles": waited}
    return {"error": "an interrupt that was cleared was seen"}


def load(hypervisor, params):
    link = hypervisor.link
    words = params["words"]
    link.write(ARG1, 4 * len(words))
    link.write(ARG2, params["give_up_after"])
    link.write(COMMAND, Call.VM_LOAD.value)
    taken = link.write_words(STAGING, words)
    link.wait_done(1000)
    return {"taken": taken, "sum": link.read(VALUE0)}


def save(hypervisor, params):
    """Take a saved image in pieces, as long as there is something."""
    link = hypervisor.link
    link.write(ARG1, params["words"])
    link.write(ARG2, params["give_up_after"])
    link.write(COMMAND, Call.VM_SAVE.value)
    pieces = []
    while not pieces or len(pieces[-1]) == params["piece"]:
        pieces.append(link.read_words(HypervisorRegister.SAVED.value, params["piece"]))
    link.wait_done(1000)
    return pieces


def store(hypervisor, params):
    """The versions that are found in rows, each of which is then counted up; and the epoch."""
    link = hypervisor.link
    found = []
    for row in params["rows"]:
        link.write(ARG1, row)
        link.write(COMMAND, Call.VM_CREATE.value)
        link.wait_done(1000)
        found.append(link.read(HypervisorRegister.VALUE2.value))
        link.write(STATUS, 1)
    return {"found": found, "epoch": link.read(HypervisorRegister.VALUE3.value)}


def echo(hypervisor, params):
    link = hypervisor.link
    heard = {}
    for channel, text in params["typed"]:
        link.tty_write(channel, text.encode("latin-1"))
    for _ in range(40):
        link.advance(500)
        for channel in range(link.config.tty_channels):
            heard[channel] = heard.get(channel, "") + link.tty_read(channel).decode("latin-1")
    return {"heard": heard, "again": link.tty_read(0).decode()}


def advance(hypervisor, params):
    link = hypervisor.link
    steps = []
    for cycles in params["steps"]:
        before = link.cycles
        link.advance(cycles)
        steps.append(link.cycles - before)
        emit("step", cycles=cycles)
    return steps


def fail(hypervisor, params):
    raise KeyError(params["what"])


def die(hypervisor, params):
    print("last words", flush=True)
    os._exit(3)


def hang(hypervisor, params):
    while True:
        pass
