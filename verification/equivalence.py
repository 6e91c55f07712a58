# SPDX-License-Identifier: Apache-2.0
"""Scenarios that a model and a machine must answer alike, bit by bit."""

import hashlib
from dataclasses import asdict
from random import Random
from typing import Any

from blindvisor.sw.hypervisor.hypervisor import Hypervisor
from blindvisor.verification.callseq import Step, StepSource, execute, snapshot

__all__ = ["calls", "mailbox", "saves", "steps_of"]


def steps_of(seed: int, count: int, *, config: Any, root_key: bytes) -> list[dict[str, Any]]:
    """Return ``count`` random steps as JSON, for :func:`calls`."""
    source = StepSource(config, root_key=root_key)
    return [
        asdict(step) | {"arguments": list(step.arguments), "image": step.image.hex()}
        for step in source.steps(Random(seed), count)
    ]


def calls(hypervisor: Hypervisor, params: dict[str, Any]) -> list[Any]:
    """Make the calls of ``params["steps"]``; return what was seen after each.

    Every entry holds the step, its result and VALUE registers, the digest of a saved image, and all
    that STATUS tells.
    """
    seen = []
    for step in params["steps"]:
        made = Step(
            call=step["call"],
            arguments=tuple(step["arguments"]),
            image=bytes.fromhex(step["image"]),
            take=step["take"],
        )
        outcome = execute(hypervisor, made)
        seen.append(
            {
                "step": str(made),
                "result": outcome.result.name,
                "values": list(outcome.values),
                "saved": hashlib.sha256(outcome.saved).hexdigest() if outcome.saved else "",
                "status": repr(asdict(snapshot(hypervisor))),
            }
        )
    return seen


def mailbox(hypervisor: Hypervisor, params: dict[str, Any]) -> dict[str, Any]:
    """Run the mailbox guest of ``params["image"]`` (1 x 1) and talk to it; return the talk."""
    link = hypervisor.link
    vm = hypervisor.create(width=1, height=1)
    tty = link.config.tty_channels
    vm.grant(0, 0)
    channel = vm.grant(tty, 1)
    with open(params["image"], "rb") as image:
        vm.load(image.read())
    vm.start()
    answers: list[int] = []
    for word in params["words"]:
        while not channel.send(word):
            link.advance(100)
        for _ in range(200):
            if (answer := channel.receive()) is not None:
                answers.append(answer)
                break
            link.advance(200)
    link.advance(20_000)
    output = link.tty_read(0).decode("latin-1")
    vm.destroy()
    return {"answers": answers, "output": output}


def saves(hypervisor: Hypervisor, params: dict[str, Any]) -> dict[str, Any]:
    """Run a guest of one column to its end, save it twice, and restore the second image.

    Returns the digests of both saved images and of one that the restored VM is saved as at once.
    """
    with open(params["image"], "rb") as image:
        content = image.read()
    height = params["height"]
    vm = hypervisor.create(width=1, height=height)
    vm.grant(0, 0)
    vm.load(content)
    vm.start()
    output = ""
    for _ in range(1000):
        hypervisor.link.advance(1000)
        output += hypervisor.link.tty_read(0).decode("latin-1")
        if "[exit 0]" in output:
            break
    hypervisor.link.advance(20_000)
    vm.freeze()
    images = [vm.save(), vm.save()]
    vm.destroy()
    vm = hypervisor.create(width=1, height=height, at=(1, 0))
    vm.load(images[1])
    vm.start()
    vm.freeze()
    images.append(vm.save())
    return {"output": output, "digests": [hashlib.sha256(item).hexdigest() for item in images]}
