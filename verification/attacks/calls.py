# SPDX-License-Identifier: Apache-2.0
"""Attacks of a compromised hypervisor with calls: when, about whom, in which order."""

from blindvisor.hdl.abi import Call, ClusterState, HypervisorRegister, Result, StatusKind, VmState
from blindvisor.sw.hypervisor.monitor import image_words
from blindvisor.verification.attacks.attack import attack
from blindvisor.verification.attacks.programs import prober, searcher
from blindvisor.verification.attacks.world import ACCOMPLICE, SPARE, VICTIM, VICTIM_TTY, World

__all__ = ["CALL_ATTACKS"]

_HELLO = prober([])
_ALLOWED = {
    VmState.EMPTY: {Call.VM_CREATE},
    VmState.CREATED: {Call.VM_LOAD, Call.VM_DESTROY},
    VmState.READY: {Call.VM_START, Call.VM_DESTROY},
    VmState.RUNNING: {Call.VM_FREEZE, Call.VM_DESTROY},
    VmState.FROZEN: {Call.VM_RESUME, Call.VM_SAVE, Call.VM_DESTROY},
}
"""What may be asked of a slot, by its state."""
_LIFE = (None, Call.VM_CREATE, Call.VM_LOAD, Call.VM_START, Call.VM_FREEZE)
"""What leads to these states, one by one."""


def _make(world: World, call: Call, vm: int) -> Result:
    """Make a call about one VM with arguments that are right but for the VM's state."""
    place = world.next_door
    if call is Call.VM_LOAD:
        return world.hypervisor.load(vm, world.pack(_HELLO))
    if call is Call.VM_SAVE:
        result, words = world.hypervisor.save(vm)
        if words:
            world.gain(f"{len(words)} bytes of a VM that is not frozen, {result.name}")
        return result
    arguments = (vm, place.x, place.y, 1, 1) if call is Call.VM_CREATE else (vm,)
    return world.hypervisor.invoke(call, *arguments)


def _owned(world: World, index: int) -> tuple[ClusterState, int]:
    status = world.hypervisor.cluster_status(index)
    return status.state, status.owner


def _forbidden_calls(world: World) -> None:
    (index,) = world.next_door.clusters(world.config)
    every = sorted({call for calls in _ALLOWED.values() for call in calls}, key=lambda c: c.value)
    for (state, allowed), step in zip(_ALLOWED.items(), _LIFE, strict=True):
        if step is not None and _make(world, step, ACCOMPLICE) is not Result.OK:
            raise RuntimeError(f"the accomplice must become {state.name}")
        before = _owned(world, index)
        for call in every:
            if call in allowed:
                continue
            result = _make(world, call, ACCOMPLICE)
            after = (world.vm_state(ACCOMPLICE), _owned(world, index))
            if result is Result.OK or after != (state, before):
                world.gain(f"{call.name} of a VM that is {state.name}: {result.name}, {after[0]!r}")
                return
            if result is not Result.WRONG_STATE:
                world.surprises.append(f"{call.name} while {state.name} ended with {result.name}")
        world.note(f"{len(every) - len(allowed)} calls while {state.name}", "WRONG_STATE")


def _vm_aliases(world: World) -> None:
    """Numbers that are a VM's only if somebody looks at some of their bits."""
    free_channel = 2
    for bits in (1 << 8, 1 << 16, 1 << 31, 0xFFFF_FF00):
        alias = VICTIM | bits
        for call, arguments, denial in (
            (Call.STATUS, (StatusKind.VM.value, alias), Result.BAD_ARGUMENT),
            (Call.CHANNEL_GRANT, (free_channel, alias, 1), Result.BAD_VM),
            (Call.VM_FREEZE, (alias,), Result.BAD_VM),
            (Call.VM_DESTROY, (alias,), Result.BAD_VM),
        ):
            if world.call(call, *arguments, expect=denial) is Result.OK:
                world.gain(f"{call.name} took {alias:#x} for a VM")
                world.victim_lives = False
                return


def _channel_aliases(world: World) -> None:
    for bits in (1 << 4, 1 << 8, 1 << 31, 0xFFFF_FFF0):
        alias = VICTIM_TTY | bits
        for call, arguments in (
            (Call.CHANNEL_GRANT, (alias, ACCOMPLICE, 1)),
            (Call.CHANNEL_REVOKE, (alias,)),
        ):
            if world.call(call, *arguments, expect=Result.BAD_CHANNEL) is Result.OK:
                owner = world.hypervisor.channel_status(VICTIM_TTY).owner
                world.gain(f"{call.name} took {alias:#x} for a channel; the victim's has {owner}")
                world.victim_lives = False
                return


def _command_while_busy(world: World) -> None:
    """Every call, while a load waits for words, and while a VM is scrubbed."""
    link, register = world.link, HypervisorRegister
    image = world.pack(_HELLO)
    words = image_words(image)
    world.create()
    world.hypervisor.begin(Call.VM_LOAD, ACCOMPLICE, len(image))
    link.write(register.ARG0.value, VICTIM)
    numbers = [call.value for call in Call if call is not Call.NONE]
    taken = []
    for sent in range(0, len(words) - 4, 8):
        link.write_words(register.STAGING.value, words[sent : sent + 8])
        taken += [n for n in numbers if world.write_port(register.COMMAND.value, n)]
    link.write(register.ABORT.value, 1)
    if hasattr(link, "cycles"):  # the model ends a call before anything else can happen
        taken += [n for n in numbers if world.write_port(register.COMMAND.value, n)]
    world.hypervisor.finish()
    world.note("a second call, all through a load and its scrub", f"{len(taken)} times taken")
    if taken:
        world.gain(f"call {taken[0]:#x} was taken while another one ran")


def _swap_the_destroyed(world: World) -> None:
    """Time of check, time of use: name another VM while one is being destroyed."""
    link, register = world.link, HypervisorRegister
    world.create()
    world.hypervisor.begin(Call.VM_DESTROY, ACCOMPLICE)
    link.write(register.ARG0.value, VICTIM)
    world.hypervisor.finish()
    states = {vm: world.vm_state(vm) for vm in (ACCOMPLICE, VICTIM)}
    world.note(
        "change ARG0 while VM 2 is destroyed",
        f"VM 2 {states[ACCOMPLICE].name}, VM 1 {states[VICTIM].name}",
    )
    if states[VICTIM] is not VmState.RUNNING:
        world.gain(f"the victim is {states[VICTIM].name}, and nobody named it in a call")
        world.victim_lives = False
    elif states[ACCOMPLICE] is not VmState.EMPTY:
        world.surprises.append(f"the destroyed VM is {states[ACCOMPLICE].name}")


def _frozen_progress(world: World) -> None:
    world.call(Call.VM_FREEZE, VICTIM, expect=Result.OK)
    world.link.advance(6_000)  # what is on its way to the terminal
    world.link.tty_read(VICTIM_TTY)
    world.link.advance(30_000)
    said = world.link.tty_read(VICTIM_TTY)
    world.note("listen to the frozen victim for 30,000 cycles", f"{len(said)} bytes")
    if said:
        world.gain(f"the frozen victim moved on: it said {said[:4]!r}")
    world.call(Call.VM_RESUME, VICTIM, expect=Result.OK)


def _stop_the_neighbour(world: World) -> None:
    """All that ends, halts or starts a VM, next to the victim; the judge looks at the victim."""
    image = bytearray(world.pack(_HELLO))
    home = world.home.clusters(world.config)
    for step in _LIFE[1:]:
        result = _make(world, step or Call.NONE, ACCOMPLICE)
        world.note(f"{(step or Call.NONE).name} of the accomplice", result.name)
    states = {world.hypervisor.cluster_status(n).state for n in home}
    if states != {ClusterState.RUNNING}:
        world.gain(
            f"VM_FREEZE of the accomplice left the victim {sorted(state.name for state in states)}"
        )
    world.call(Call.VM_RESUME, ACCOMPLICE, expect=Result.OK)
    world.call(Call.VM_DESTROY, ACCOMPLICE, expect=Result.OK)
    image[-1] ^= 1
    _make(world, Call.VM_CREATE, ACCOMPLICE)
    world.load(ACCOMPLICE, bytes(image), expect=Result.IMAGE_TAG, what="a forged image")


def _abort_at_the_end(world: World) -> None:
    """ABORT when all words are in, at some distances from the end."""
    link, register = world.link, HypervisorRegister
    image = world.pack(_HELLO)
    words = image_words(image)
    (index,) = world.next_door.clusters(world.config)
    results = []
    for distance in (0, 5, 60, 200, 400, 800, 1600):
        _make(world, Call.VM_CREATE, ACCOMPLICE)
        world.hypervisor.begin(Call.VM_LOAD, ACCOMPLICE, len(image))
        link.write_words(register.STAGING.value, words)
        link.advance(distance)
        link.write(register.ABORT.value, 1)
        result = world.hypervisor.finish()
        results.append(result.name)
        state = world.vm_state(ACCOMPLICE)
        wanted = VmState.READY if result is Result.OK else VmState.EMPTY
        if result not in (Result.OK, Result.ABORTED):
            world.surprises.append(f"ABORT {distance} cycles after the last word: {result.name}")
        if state is not wanted:
            world.gain(f"a load ended with {result.name}, and its VM is {state.name}")
            world.hypervisor.invoke(Call.VM_START, ACCOMPLICE)
            if world.hypervisor.cluster_status(index).state is ClusterState.RUNNING:
                world.gain("it runs")
            return
        if state is not VmState.EMPTY:
            world.hypervisor.vm_destroy(ACCOMPLICE)
    world.note("ABORT just after the last word", ", ".join(results))


def _steal_loaded(world: World) -> None:
    """Plaintext is in the clusters, and nothing runs that could notice."""
    place = world.next_door
    world.create()
    image = world.victim_image_of_one()
    world.load(ACCOMPLICE, image, expect=Result.OK, what="the victim's image")
    arguments = (SPARE, place.x, place.y, 1, 1)
    if world.call(Call.VM_CREATE, *arguments, expect=Result.OCCUPIED) is not Result.OK:
        return
    world.gain("the cluster of a loaded VM was given to another")
    world.hypervisor.load(SPARE, world.pack(searcher(world.config.memory_bytes)))
    world.hypervisor.channel_grant(2, SPARE, 0)
    world.hypervisor.vm_start(SPARE)
    world.saw(world.frames(2).data, "the stolen cluster")


CALL_ATTACKS = (
    attack("forbidden-calls", _forbidden_calls, shown=False),
    attack("vm-aliases", _vm_aliases, shown=False),
    attack("channel-aliases", _channel_aliases, shown=False),
    attack("command-while-busy", _command_while_busy, shown=False),
    attack("swap-the-destroyed", _swap_the_destroyed, shown=False),
    attack("frozen-progress", _frozen_progress, shown=False),
    attack("stop-the-neighbour", _stop_the_neighbour, shown=False),
    attack("abort-at-the-end", _abort_at_the_end, shown=False),
    attack("steal-loaded", _steal_loaded, shown=False),
)
"""From single calls to several that meet."""
