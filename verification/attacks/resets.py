# SPDX-License-Identifier: Apache-2.0
"""Attacks with the reset line: whoever holds it cuts the machine off in the middle of anything."""

from typing import Any

from blindvisor.hdl.abi import Call, HypervisorRegister, Result, VmState
from blindvisor.sw.hypervisor.monitor import image_words
from blindvisor.sw.image.format import HEADER_BYTES, TAG_BYTES, Header
from blindvisor.sw.image.pack import pack
from blindvisor.verification.attacks.attack import attack
from blindvisor.verification.attacks.programs import victim
from blindvisor.verification.attacks.world import ACCOMPLICE, SPARE, VICTIM, Place, World

__all__ = ["RESET_ATTACKS"]


def _reset(world: World, *, wait: bool = True) -> None:
    """Reset the machine. The victim is gone then, openly."""
    link: Any = world.link
    if not hasattr(link, "reset"):
        raise RuntimeError(f"this attack needs a machine with a reset line, not {type(link)}")
    link.reset()
    world.victim_lives = False
    if wait:
        world.hypervisor.wait_ready()
        if (state := world.vm_state(VICTIM)) is not VmState.EMPTY:
            world.gain(f"the victim's slot is {state.name} after a reset")


def _reset_and_search(world: World) -> None:
    _reset(world)
    world.search(world.home, "the victim, cut off while it ran")


def _call_at_power_on(world: World) -> None:
    """Calls before the clusters have scrubbed themselves."""
    register, home, link = HypervisorRegister, world.home, world.link
    _reset(world, wait=False)
    begin = getattr(link, "cycles", 0)
    for n, argument in enumerate((SPARE, home.x, home.y, 1, 1)):
        link.write(register.ARG0.value + 4 * n, argument)
    refused = 0
    while not world.write_port(register.COMMAND.value, Call.VM_CREATE.value):
        refused += 1
        link.advance(16)
        if refused > world.hypervisor.timeout:
            raise RuntimeError("the machine must take calls at some time after its reset")
    cycles = getattr(link, "cycles", 0) - begin
    result = world.hypervisor.finish()
    if hasattr(link, "cycles"):
        world.note("vm_create from the reset on", f"{refused} bus errors, then {result.name}")
        if cycles < world.config.memory_words:
            world.gain(
                f"a call was taken {cycles} cycles after the reset, before"
                f" {world.config.memory_words} words of memory can be zero"
            )
    world.hypervisor.vm_destroy(SPARE)
    world.search(Place(home.x, home.y), "the victim, taken as soon as the machine answers")


def _reset_in_the_scrub(world: World) -> None:
    world.hypervisor.begin(Call.VM_DESTROY, VICTIM)
    world.link.advance(300)
    world.note("reset the machine 300 cycles after vm_destroy", "it begins anew")
    _reset(world)
    world.search(world.home, "the victim, cut off while it was scrubbed")


def _reset_in_a_load(world: World) -> None:
    """All of the victim is in the cluster, and its tag has not come yet."""
    link, register, place = world.link, HypervisorRegister, world.next_door
    image = world.victim_image_of_one()
    words = image_words(image)
    world.create()
    world.hypervisor.begin(Call.VM_LOAD, ACCOMPLICE, len(image))
    link.write_words(register.STAGING.value, words[:-4])
    link.advance(4_000)
    world.note("reset the machine before the last words of a load", "it begins anew")
    _reset(world)
    world.search(place, "a VM whose load was cut off")


def _reset_keystream(world: World) -> None:
    """The same VM, saved as the first one after two resets."""
    image = pack(
        [victim(world.secret)],
        width=1,
        height=1,
        root_key=world.root_key,
        identity=b"saved twice over",
    )
    saved = []
    for _ in range(2):
        _reset(world)
        vm = world.create()
        vm.load(image)
        vm.start()
        vm.freeze()
        result, words = world.hypervisor.save(ACCOMPLICE)
        world.note("the first vm_save after a reset", f"{result.name}, {len(words)} bytes")
        if result is not Result.OK:
            world.surprises.append(f"vm_save ended with {result.name}, not OK")
            return
        world.saw(words, "the saved image")
        saved.append(words)
    one, two = (words[HEADER_BYTES:-TAG_BYTES] for words in saved)
    numbers = {Header.from_bytes(words).nonce for words in saved}
    same = sum(one[n : n + 16] == two[n : n + 16] for n in range(0, len(one), 16))
    world.note("compare the two", f"{same} of {len(one) // 16} blocks are equal")
    if same or len(numbers) != 2:
        world.gain(f"{same} blocks of two saves have the same keystream; nonces: {len(numbers)}")


RESET_ATTACKS = (
    attack("reset-and-search", _reset_and_search, shown=False),
    attack("call-at-power-on", _call_at_power_on, shown=False),
    attack("reset-in-the-scrub", _reset_in_the_scrub, shown=False),
    attack("reset-in-a-load", _reset_in_a_load, shown=False),
    attack("reset-keystream", _reset_keystream, shown=False),
)
"""By what is cut off."""
