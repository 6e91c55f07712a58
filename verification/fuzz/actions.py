# SPDX-License-Identifier: Apache-2.0
"""Random hypervisor programs: calls, what disturbs them, resets. Plain data, from a seed."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from random import Random
from typing import Any, Self

from blindvisor.hdl.abi import Call, HypervisorRegister
from blindvisor.hdl.config import MachineConfig
from blindvisor.sw.hypervisor.hypervisor import MAILBOX_STRIDE
from blindvisor.sw.image.format import HEADER_BYTES, TAG_BYTES
from blindvisor.verification.callseq import Step, StepSource

__all__ = ["Access", "Action", "End", "ProgramSource", "register_kind", "simpler"]

Access = tuple[int, int | None]
"""Address on the hypervisor's port, and what is written, or None for a read."""

SETTLED = 5000
"""Cycles after which the loader has judged a header and the words behind it."""

HEADER_WORDS = HEADER_BYTES // 4
_TAKEN = 40  # words of a save that are taken before it is disturbed: its row is not written then
_FED = 60  # words behind the header, at most, before a load is disturbed

_WRITE_ONLY = (
    HypervisorRegister.COMMAND.value,
    HypervisorRegister.ABORT.value,
    HypervisorRegister.STAGING.value,
)
_READ_ONLY = (
    *(HypervisorRegister.ID.value, HypervisorRegister.MESH.value, HypervisorRegister.MEMORY.value),
    *(HypervisorRegister.LIMITS.value, HypervisorRegister.RESULT.value),
    *(HypervisorRegister.VALUE0.value, HypervisorRegister.VALUE3.value),
    *(HypervisorRegister.STAGING_SPACE.value, HypervisorRegister.SAVED_WORDS.value),
)
_CONSTANT = _READ_ONLY[:4]  # what they hold does not depend on when they are read
_ARGUMENTS = range(HypervisorRegister.ARG0.value, HypervisorRegister.ARG4.value + 4, 4)
_SILENT = [call.value for call in Call if call not in (Call.VM_LOAD, Call.VM_SAVE)] + [0x18, 255]
"""Commands that end by themselves."""


class End(StrEnum):
    """How an action ends."""

    FINISH = "finish"
    ABORT = "abort"
    RESET = "reset"


@dataclass(frozen=True, kw_only=True)
class Action:
    """One thing that a hypervisor does.

    Parameters
    ----------
    step : :class:`~blindvisor.verification.callseq.Step` or None
        A call; None: there is only what follows.
    words : :class:`int`
        Of a load or save that is disturbed: words that move before.
    pause : :class:`int`
        Cycles from then to the accesses.
    accesses : tuple of :data:`Access`
        Made at the port, back to back, while the call may still run.
    end : :class:`End`
        FINISH: the call gets all that it needs, and is waited for.
    """

    step: Step | None = None
    words: int = 0
    pause: int = 0
    accesses: tuple[Access, ...] = ()
    end: End = End.FINISH

    @property
    def plain(self) -> bool:
        """A call that nothing disturbs."""
        return self.step is not None and not self.accesses and self.end is End.FINISH

    def __str__(self) -> str:
        """Fit for a failure message."""
        parts = [str(self.step)] if self.step is not None else []
        if not self.plain:
            parts.append(f"{self.words} words, {self.pause} cycles")
            parts += [
                f"read {address:#05x}" if value is None else f"write {address:#05x} {value:#x}"
                for address, value in self.accesses
            ]
            parts.append(self.end)
        return "; ".join(parts)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        values = asdict(self)
        if self.step is not None:
            values["step"]["image"] = self.step.image.hex()
        return values

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Undo :meth:`as_dict`."""
        step = values["step"]
        if step is not None:
            arguments, image = tuple(step["arguments"]), bytes.fromhex(step["image"])
            step = Step(**step | {"arguments": arguments, "image": image})
        accesses = tuple((address, value) for address, value in values["accesses"])
        end = End(values["end"])
        return cls(**values | {"step": step, "accesses": accesses, "end": end})


def register_kind(access: Access, config: MachineConfig) -> str:
    """Return which of coverage.REGISTER_KINDS an access is."""
    address, _ = access
    if address == HypervisorRegister.COMMAND.value:
        return "command"
    if address in _ARGUMENTS:
        return "argument"
    if address in _READ_ONLY:
        return "read-only"
    if address in _WRITE_ONLY:
        return "write-only"
    mailbox = (address - HypervisorRegister.MAILBOX.value) // MAILBOX_STRIDE
    return "mailbox" if 0 <= mailbox < config.mailbox_channels else "no register"


def simpler(action: Action) -> Iterable[Action]:
    """Give simpler actions that may do the same."""
    step = action.step
    if step is not None and not action.plain:
        yield Action(step=step)
    for at in range(len(action.accesses)):
        yield replace(action, accesses=action.accesses[:at] + action.accesses[at + 1 :])
    if action.pause and action.words < HEADER_WORDS:
        yield replace(action, pause=0)
    if step is not None and step.take is None:
        for at, argument in enumerate(step.arguments):
            if argument > 1 and not step.image:
                fewer = (*step.arguments[:at], 0, *step.arguments[at + 1 :])
                yield replace(action, step=replace(step, arguments=fewer))


class ProgramSource:
    """Makes hypervisor programs.

    Parameters
    ----------
    config : :class:`~blindvisor.hdl.config.MachineConfig`
        The machine.
    root_key : :class:`bytes`
        Its root key, for images that load.

    Notes
    -----
    What is generated has one right answer at every speed of the machine: nothing is read or
    aborted at a moment at which the contract leaves two answers open. A COMMAND that may come
    just behind the end of a call is the exception; :mod:`~.lockstep` takes either answer.
    """

    def __init__(self, config: MachineConfig, *, root_key: bytes) -> None:
        self.config = config
        self._root_key = root_key

    def program(self, rng: Random, count: int) -> list[Action]:
        """Return ``count`` actions, from power-on, some of them behind calls that make VMs live."""
        source = StepSource(self.config, root_key=self._root_key)
        actions = [Action(step=step) for step in source.lives(rng)]
        for _ in range(count):
            action = self._action(rng, source)
            if action.end is End.RESET:
                source = StepSource(self.config, root_key=self._root_key)
            actions.append(action)
        return actions

    def _action(self, rng: Random, source: StepSource) -> Action:
        kind = rng.randrange(20)
        if kind == 0:
            end = End.FINISH if rng.randrange(6) else rng.choice((End.RESET, End.ABORT))
            return Action(accesses=self._accesses(rng, mailboxes=True, held=True), end=end)
        step = self._anything(rng) if kind == 5 else self._spoilt(rng, source.step(rng))
        if kind > 4 or step.take is not None:
            return Action(step=step)
        if step.call == Call.VM_LOAD.value:
            return self._load(rng, step)
        if step.call == Call.VM_SAVE.value:
            return self._save(rng, step)
        end = End.RESET if rng.randrange(12) == 0 else rng.choice((End.FINISH, End.ABORT))
        return Action(
            step=step, pause=rng.randrange(12), accesses=self._accesses(rng, command=True), end=end
        )

    def _anything(self, rng: Random) -> Step:
        """A call with arguments that exist, whatever the state of what they name."""
        config = self.config
        vm, channel = rng.randint(1, config.vms), rng.randrange(config.channels)
        if rng.randrange(2):
            guest = rng.randrange(config.guest_channels)
            return Step(call=Call.CHANNEL_GRANT.value, arguments=(channel, vm, guest))
        call = rng.choice([call for call in Call if call.name.startswith("VM_")])
        match call:
            case Call.VM_CREATE:
                return Step(call=call.value, arguments=(vm, 0, 0, 1, 1))
            case Call.VM_LOAD:  # without a word: it is given up
                return Step(call=call.value, arguments=(vm, HEADER_BYTES + TAG_BYTES + 16))
        return Step(call=call.value, arguments=(vm,))

    def _spoilt(self, rng: Random, step: Step) -> Step:
        """Sometimes change a bit of contents or tag, which only the tag can tell."""
        image = step.image
        if len(image) <= HEADER_BYTES or len(image) != step.arguments[1] or rng.randrange(6):
            return step
        at = rng.randrange(HEADER_BYTES, len(image))
        bit = bytes([image[at] ^ 1 << rng.randrange(8)])
        return replace(step, image=image[:at] + bit + image[at + 1 :])

    def _load(self, rng: Random, step: Step) -> Action:
        """All words but the last can move before: a load that ends by itself is a plain one."""
        whole = len(step.image) // 4
        if step.arguments[1] != len(step.image) or whole <= HEADER_WORDS:
            return Action(step=step)
        words = rng.randrange(min(whole - 1, HEADER_WORDS + _FED))
        accesses = self._accesses(rng, command=True, mailboxes=True, held=True)
        end = rng.choice((End.FINISH, End.FINISH, End.ABORT, End.ABORT, End.RESET))
        return Action(step=step, words=words, pause=SETTLED, accesses=accesses, end=end)

    def _save(self, rng: Random, step: Step) -> Action:
        accesses = self._accesses(rng, command=True, mailboxes=True, held=True)
        end = rng.choice((End.FINISH, End.ABORT, End.RESET))
        words = rng.randrange(_TAKEN)
        return Action(step=step, words=words, pause=SETTLED, accesses=accesses, end=end)

    def _accesses(
        self, rng: Random, *, command: bool = False, mailboxes: bool = False, held: bool = False
    ) -> tuple[Access, ...]:
        """Return some accesses.

        ``held``: RESULT and VALUE registers keep what they hold, so they may be read. Not behind a
        command, which might run; nor are mailboxes looked at, which it might clear.
        """
        command = command and rng.random() < 0.5
        mailboxes, held = mailboxes and not command, held and not command
        return tuple(self._access(rng, command, mailboxes, held) for _ in range(rng.randint(1, 5)))

    def _access(self, rng: Random, command: bool, mailboxes: bool, held: bool) -> Access:
        word = rng.choice((rng.getrandbits(32), rng.randrange(8)))
        kinds = [self._argument, self._read_only, self._write_only, self._nowhere]
        kinds += [self._command] * 2 * command + [self._mailbox] * mailboxes
        access = rng.choice(kinds)(rng, word)
        if access[1] is None and access[0] in _READ_ONLY and access[0] not in _CONSTANT:
            changing = access[0] in _READ_ONLY[-2:]  # words that wait: they come and go
            if changing or not held:
                return _CONSTANT[0], None
        return access

    def _command(self, rng: Random, word: int) -> Access:
        return HypervisorRegister.COMMAND.value, rng.choice(_SILENT)

    def _argument(self, rng: Random, word: int) -> Access:
        return rng.choice(_ARGUMENTS), rng.choice((word, word, None))

    def _read_only(self, rng: Random, word: int) -> Access:
        return rng.choice(_READ_ONLY), rng.choice((word, None))

    def _write_only(self, rng: Random, word: int) -> Access:
        return rng.choice(_WRITE_ONLY), None

    def _nowhere(self, rng: Random, word: int) -> Access:
        last = self.config.mailbox_channels
        beyond = HypervisorRegister.MAILBOX.value + MAILBOX_STRIDE * rng.randrange(last, last + 4)
        address = rng.choice((0x034, 0x03C, 0x060, 0x0FC, 0x022, 0x051, beyond, 0xFFC))
        return address, rng.choice((word, None))

    def _mailbox(self, rng: Random, word: int) -> Access:
        first = HypervisorRegister.MAILBOX.value
        if not self.config.mailbox_channels:
            return first, None
        mailbox = rng.randrange(self.config.mailbox_channels)
        register = rng.choice((0, 4, 4, 8, 12, 16))
        value = word if register == 4 and rng.randrange(3) else rng.choice((None, word))
        return first + MAILBOX_STRIDE * mailbox + register, value
