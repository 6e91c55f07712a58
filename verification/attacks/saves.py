# SPDX-License-Identifier: Apache-2.0
"""Attacks on saved states: an old one in place of the new, two that tell of each other, keys."""

from blindvisor.hdl.abi import Call, Result, VmState
from blindvisor.sw.image.format import HEADER_BYTES, TAG_BYTES, Flags, Header
from blindvisor.sw.image.pack import pack
from blindvisor.verification.attacks.attack import attack
from blindvisor.verification.attacks.programs import prober, victim
from blindvisor.verification.attacks.world import ACCOMPLICE, SPARE, VICTIM, World

__all__ = ["SAVE_ATTACKS"]

_IDENTITY = b"the victim's own"
_HELLO = prober([])


def _versioned(world: World, version: int) -> bytes:
    """Return an image of one cluster of the owner that makes the victim, under one identity."""
    return pack(
        [victim(world.secret)],
        width=1,
        height=1,
        root_key=world.root_key,
        identity=_IDENTITY,
        security_version=version,
    )


def _load(world: World, image: bytes, expect: Result, what: str) -> Result:
    """Load an image next door; nothing of it is left there if it was refused."""
    world.create()
    return world.load(ACCOMPLICE, image, expect=expect, what=what)


def _save(world: World, vm: int, expect: Result, what: str) -> bytes:
    """Save a VM; return the words that came out."""
    result, image = world.hypervisor.save(vm)
    world.note(f"vm_save({vm}) of {what}", f"{result.name}, {len(image)} bytes")
    if result is not expect:
        world.surprises.append(f"vm_save({vm}) ended with {result.name}, not {expect.name}")
    world.saw(image, f"the saved image of {what}")
    return image


def _same_keystream(world: World) -> None:
    """Nothing runs between the two saves, so the same plaintext is enciphered twice."""
    _load(world, _versioned(world, 0), Result.OK, "a victim")
    world.hypervisor.vm_start(ACCOMPLICE)
    world.link.advance(3_000)
    world.hypervisor.vm_freeze(ACCOMPLICE)
    images = [_save(world, ACCOMPLICE, Result.OK, "the frozen victim") for _ in range(2)]
    one, two = (image[HEADER_BYTES:-TAG_BYTES] for image in images)
    numbers = {Header.from_bytes(image).nonce for image in images}
    same = sum(one[n : n + 16] == two[n : n + 16] for n in range(0, len(one), 16))
    world.note("compare the two", f"{same} of {len(one) // 16} blocks are equal")
    if same or len(numbers) != 2:
        world.gain(f"{same} blocks of two saves have the same keystream; nonces: {len(numbers)}")


def _replay(world: World) -> None:
    _load(world, _versioned(world, 0), Result.OK, "a victim")
    world.hypervisor.vm_start(ACCOMPLICE)
    world.hypervisor.vm_freeze(ACCOMPLICE)
    older, newer = (_save(world, ACCOMPLICE, Result.OK, "the victim") for _ in range(2))
    world.hypervisor.vm_destroy(ACCOMPLICE)
    if _load(world, older, Result.IMAGE_OLD, "the state before the last save") is Result.OK:
        world.gain("a state that a newer save supersedes was restored")
        world.hypervisor.vm_destroy(ACCOMPLICE)
    _load(world, newer, Result.OK, "the last state")


def _fork(world: World) -> None:
    """Two slots with the same state; one of them moves on and is saved, then the other is saved."""
    hypervisor, place = world.hypervisor, world.next_door
    image = _versioned(world, 0)
    for vm, x in ((ACCOMPLICE, place.x), (SPARE, place.x + 1)):
        hypervisor.vm_create(vm, x=x, y=place.y, width=1, height=1)
        world.load(vm, image, expect=Result.OK, what="a victim")
        hypervisor.vm_start(vm)
        hypervisor.vm_freeze(vm)
    _save(world, ACCOMPLICE, Result.OK, "one")
    again = _save(world, SPARE, Result.IMAGE_OLD, "the other, whose state is older")
    if again:
        hypervisor.vm_destroy(ACCOMPLICE)
        if _load(world, again, Result.IMAGE_OLD, "what came out") is Result.OK:
            world.gain("an older state was saved again, and so became the newest")


def _downgrade(world: World) -> None:
    _load(world, _versioned(world, 2), Result.OK, "version 2")
    world.hypervisor.vm_destroy(ACCOMPLICE)
    if _load(world, _versioned(world, 1), Result.IMAGE_OLD, "version 1") is Result.OK:
        world.gain("an image older than one that the machine has accepted was loaded")


def _save_out_of_turn(world: World) -> None:
    _load(world, world.pack(_HELLO), Result.OK, "an own image")
    image = _save(world, ACCOMPLICE, Result.WRONG_STATE, "a VM that is READY")
    if world.vm_state(ACCOMPLICE) is not VmState.READY:
        world.gain("a save that was refused changed the VM's state")
    image = image or _save(world, VICTIM, Result.WRONG_STATE, "a running VM")
    if image:
        world.gain(f"a VM that is not frozen gave {len(image)} bytes of a saved image")
        return
    _save(world, SPARE, Result.WRONG_STATE, "an empty slot")
    for vm in (0, world.config.vms + 1):
        _save(world, vm, Result.BAD_VM, "no VM")


def _reseal(world: World) -> None:
    """An own image that claims to be a saved state, whose key the loader would derive itself."""
    own = bytearray(world.pack(_HELLO))
    for flags in (Flags.SAVED, Flags.SAVED | Flags.MIGRATE):
        own[10] = flags.value
        result = _load(world, bytes(own), Result.IMAGE_TAG, f"an own image as {flags!r}")
        if result is Result.OK:
            world.gain("an image that no machine saved was restored")
        if world.vm_state(ACCOMPLICE) is not VmState.EMPTY:
            world.hypervisor.vm_destroy(ACCOMPLICE)
    own[10] = Flags.MIGRATED.value
    world.hypervisor.invoke(Call.VM_DESTROY, ACCOMPLICE)
    _load(world, bytes(own), Result.IMAGE_HEADER, "an own image as MIGRATED alone")


SAVE_ATTACKS = (
    attack("same-keystream", _same_keystream),
    attack("replay-state", _replay),
    attack("fork-state", _fork),
    attack("downgrade", _downgrade),
    attack("save-out-of-turn", _save_out_of_turn),
    attack("reseal", _reseal),
)
"""By what is tried."""
