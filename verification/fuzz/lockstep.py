# SPDX-License-Identifier: Apache-2.0
"""Two machines under the same hypervisor program; the first difference ends it."""

from collections import Counter
from collections.abc import Sequence
from typing import Protocol

from blindvisor.hdl.abi import Call, HypervisorRegister, Result, VmState
from blindvisor.sw.hypervisor.errors import HypervisorError
from blindvisor.sw.hypervisor.hypervisor import Hypervisor
from blindvisor.sw.hypervisor.link import BusError, Link, LinkTimeout
from blindvisor.sw.hypervisor.monitor import (
    STATUS_BUSY,
    STATUS_LOADING,
    STATUS_SAVING,
    image_words,
)
from blindvisor.sw.model.link import ModelLink
from blindvisor.sw.model.store import Store
from blindvisor.verification.callseq import Step, execute, snapshot
from blindvisor.verification.fuzz import coverage
from blindvisor.verification.fuzz.actions import (
    HEADER_WORDS,
    SETTLED,
    Access,
    Action,
    End,
    register_kind,
)

__all__ = ["Difference", "FuzzLink", "Pair", "QuickHypervisor", "compare"]

LOOK = 8
"""Actions between two looks at all that STATUS tells."""

_COMMAND = HypervisorRegister.COMMAND.value


class Difference(Exception):
    """Machine and model disagree, or a promise is broken."""


class FuzzLink(Link, Protocol):
    """A link whose machine can be reset, and made to forget."""

    @property
    def store(self) -> Store:
        """What it remembers beyond its power-off."""
        ...

    def reset(self) -> None:
        """Reset the machine."""
        ...

    def accesses(self, accesses: Sequence[Access]) -> list[int | None]:
        """Make accesses back to back; None: a bus error."""
        ...


class QuickHypervisor(Hypervisor):
    """The same layer with fewer crossings into the simulator."""

    def __init__(self, link: FuzzLink) -> None:
        super().__init__(link)
        self.link: FuzzLink = link
        self.calls = 0

    def begin(self, call: Call | int, *arguments: int) -> None:
        """Begin a call; :exc:`BusError` if the port refuses it."""
        self.calls += 1
        padded = (*arguments, 0, 0, 0, 0, 0)[:5]
        number = call.value if isinstance(call, Call) else call
        first = HypervisorRegister.ARG0.value
        writes: list[Access] = [(first + 4 * n, word) for n, word in enumerate(padded)]
        if None in self.link.accesses([*writes, (_COMMAND, number)]):
            raise BusError(address=_COMMAND, write=True)

    def values(self) -> tuple[int, int, int, int]:
        """VALUE0..VALUE3."""
        first = HypervisorRegister.VALUE0.value
        words = self.link.accesses([(first + 4 * n, None) for n in range(4)])
        zero, one, two, three = (word if word is not None else -1 for word in words)
        return zero, one, two, three

    def finish(self) -> Result:
        """Wait until no call runs; return the result of the last one."""
        self.link.wait_done(self.timeout)
        for _ in range(self.timeout // 100):
            # A command that came just behind the end of the call runs on.
            if not self.link.read(HypervisorRegister.STATUS.value) & STATUS_BUSY:
                break
            self.link.advance(100)
        return self._end()


def compare(what: str, machine: object, model: object) -> None:
    """Raise :exc:`Difference` if two answers are not the same."""
    if machine != model:
        raise Difference(f"{what}: the machine says {machine}, the model {model}")


class Pair:
    """A machine and its model.

    Parameters
    ----------
    link : :class:`FuzzLink`
        The machine.
    root_key : :class:`bytes`
        Its root key, for the model.

    Members
    -------
    machine, model : :class:`QuickHypervisor`
        The layer over both.
    counts : :class:`~collections.Counter`
        Bins of :mod:`~blindvisor.verification.fuzz.coverage`.
    """

    def __init__(self, link: FuzzLink, *, root_key: bytes) -> None:
        self.machine = QuickHypervisor(link)
        store = Store(link.config.store_rows)
        self.model_link = ModelLink(
            link.config, root_key=root_key, store=store, epoch=store.power_on()
        )
        self.model = QuickHypervisor(self.model_link)
        self.both = (self.machine, self.model)
        self.counts: Counter[str] = Counter()

    def begin(self) -> None:
        """Both as at their first power-on, but for the number of the epoch."""
        self.forget()
        self.reset()

    def forget(self) -> None:
        """Empty both stores."""
        for side in self.both:
            for number in range(side.link.config.store_rows):
                side.link.store.write(number, None)

    def reset(self) -> None:
        """Reset both."""
        for side in self.both:
            side.link.reset()
            side.wait_ready()

    def run(self, actions: Sequence[Action]) -> None:
        """Carry out a program from power-on.

        Raises
        ------
        :exc:`Difference`
            With the number of the action, and what it was.
        """
        number, action = 0, None
        try:
            self.begin()
            for number, action in enumerate(actions):
                self.carry_out(action)
                if number % LOOK == LOOK - 1:
                    self.look()
            self.look()
        except (Difference, HypervisorError, LinkTimeout, BusError) as error:
            kind = "" if isinstance(error, Difference) else f"{type(error).__name__}: "
            raise Difference(f"action {number} ({action}): {kind}{error}") from error

    def look(self) -> None:
        """Compare all that STATUS tells."""
        compare("STATUS", snapshot(self.machine), snapshot(self.model))

    def carry_out(self, action: Action) -> None:
        """Do one thing on both, and compare what the hypervisor sees of it."""
        step = action.step
        bins = self._bins_before(step) if step is not None else []
        if step is not None and action.plain:
            outcome = execute(self.model, step)
            compare("outcome", execute(self.machine, step), outcome)
            self._count_result(step, outcome.result)
        elif step is not None:
            self._disturbed(action, step)
        else:
            self._idle(action)
        self.counts.update(bins)

    def _bins_before(self, step: Step) -> list[str]:
        """Where the step finds the slot and the channel that it names."""
        states = self.model_link.states
        call = _call_of(step)
        if call in coverage.SLOT_CALLS:
            return [str(coverage.call_bin(call, _state(states, step.arguments[0])))]
        if call is Call.CHANNEL_GRANT and step.arguments[0] < len(
            channels := self.model_link.machine.channels
        ):
            owner, vm = channels[step.arguments[0]].owner, step.arguments[1]
            whose = "nobody" if not owner else "this VM" if owner == vm else "another VM"
            return [str(coverage.channel_bin(whose, _state(states, vm)))]
        return []

    def _count_result(self, step: Step, result: Result) -> None:
        name = str(coverage.result_bin(_call_of(step), result))
        if name in coverage.BINS:
            self.counts[name] += 1

    def _count_moment(self, action: Action, moment: str) -> None:
        config = self.machine.link.config
        whats = [register_kind(access, config) for access in action.accesses]
        if action.end is not End.FINISH:
            whats.append(action.end.value)
        names = (str(coverage.moment_bin(what, moment)) for what in whats)
        self.counts.update(name for name in names if name in coverage.BINS)

    def _idle(self, action: Action) -> None:
        compare("accesses", *(side.link.accesses(action.accesses) for side in self.both))
        if action.end is End.RESET:
            self.reset()
        elif action.end is End.ABORT:
            for side in self.both:
                side.link.write(HypervisorRegister.ABORT.value, 1)
        self._count_moment(action, "idle")

    def _disturbed(self, action: Action, step: Step) -> None:
        """Carry out a call with something in the middle; the model first, as it says more."""
        machine, model = self.both
        for side in (model, machine):
            side.begin(step.call, *step.arguments)
        running = self._running()
        words = image_words(step.image)
        if running & STATUS_LOADING:
            for side in self.both:
                side.link.write_words(HypervisorRegister.STAGING.value, words[: action.words])
        if running & STATUS_SAVING:
            saved = HypervisorRegister.SAVED.value
            compare("words", *(side.link.read_words(saved, action.words) for side in self.both))
        machine.link.advance(action.pause)
        moment, running = _moment(action, running), self._running()
        self._compare_accesses(action.accesses, running=bool(running))
        if action.end is End.RESET:
            self.reset()
        else:
            if action.end is End.ABORT:
                for side in self.both:
                    side.link.write(HypervisorRegister.ABORT.value, 1)
            elif running & STATUS_LOADING:
                for side in self.both:
                    side.link.write_words(HypervisorRegister.STAGING.value, words[action.words :])
            elif running & STATUS_SAVING:
                every = 44 + 256 * self.machine.link.config.memory_words
                given = HypervisorRegister.SAVED.value
                compare("saved", *(side.link.read_words(given, every) for side in self.both))
            result = model.finish()
            compare("result", machine.finish(), result)
            compare("values", machine.values(), model.values())
            if not any(address == _COMMAND for address, _ in action.accesses):
                self._count_result(step, result)
        self._count_moment(action, moment)

    def _running(self) -> int:
        status = self.model.link.read(HypervisorRegister.STATUS.value)
        return status & (STATUS_LOADING | STATUS_SAVING)

    def _compare_accesses(self, accesses: Sequence[Access], *, running: bool) -> None:
        """``running``: the call runs until it gets more. Otherwise it has ended in the model, and
        in the machine at some moment: until then it refuses commands, and the model gets none.
        """
        given = self.machine.link.accesses(accesses)
        for access, answer in zip(accesses, given, strict=True):
            if not running and access[0] == _COMMAND and answer is None:
                continue
            (expected,) = self.model.link.accesses([access])
            kind = "write" if access[1] is not None else "read"
            compare(f"{kind} {access[0]:#05x} during a call", answer, expected)


def _moment(action: Action, running: int) -> str:
    """Return which of coverage.MOMENTS it is when the accesses come."""
    if running & STATUS_LOADING:
        return "loading a header" if action.words < HEADER_WORDS else "loading contents"
    if running & STATUS_SAVING:
        return "saving"
    return "calling" if action.pause < SETTLED else "idle"


def _call_of(step: Step) -> Call:
    return Call(step.call) if step.call in {call.value for call in Call} else Call.NONE


def _state(states: dict[int, VmState], vm: int) -> str:
    return states[vm].name if vm in states else coverage.NO_SLOT
