# SPDX-License-Identifier: Apache-2.0
"""Attacks on the verified launch: changed images, no image, two loads that get mixed up."""

from Crypto.Cipher import AES

from blindvisor.hdl.abi import Call, ClusterState, HypervisorRegister, Result, VmState
from blindvisor.sw.hypervisor.monitor import image_words
from blindvisor.sw.image.format import HEADER_BYTES, TAG_BYTES, WRAP_AAD_BYTES
from blindvisor.sw.image.pack import Secrets, pack
from blindvisor.verification.attacks.attack import attack
from blindvisor.verification.attacks.programs import prober, victim
from blindvisor.verification.attacks.world import ACCOMPLICE, ACCOMPLICE_TTY, SPARE, World

__all__ = ["IMAGE_ATTACKS"]

_FLIPS = (
    # what, byte (negative: from the end), bit, answer
    ("magic", 0, 0, Result.IMAGE_HEADER),
    ("version", 8, 1, Result.IMAGE_HEADER),
    ("flags", 11, 7, Result.IMAGE_HEADER),
    ("width", 12, 1, Result.IMAGE_SIZE),
    ("bytes per cluster", 17, 0, Result.IMAGE_SIZE),
    ("security version", 20, 0, Result.IMAGE_KEY),
    ("identity", 47, 7, Result.IMAGE_KEY),
    ("nonce of the key", 48, 0, Result.IMAGE_KEY),
    ("wrapped key", 64, 3, Result.IMAGE_KEY),
    ("tag of the key", 111, 7, Result.IMAGE_KEY),
    ("nonce of the contents", 123, 0, Result.IMAGE_TAG),
    ("first byte of the contents", HEADER_BYTES, 0, Result.IMAGE_TAG),
    ("last byte of the contents", -TAG_BYTES - 1, 7, Result.IMAGE_TAG),
    ("first byte of the tag", -TAG_BYTES, 0, Result.IMAGE_TAG),
    ("last byte of the tag", -1, 7, Result.IMAGE_TAG),
)

_HELLO = prober([])  # sends its last frame, and nothing else


def _create(world: World, vm: int) -> None:
    world.create(vm)


def _cluster_state(world: World) -> ClusterState:
    (index,) = world.next_door.clusters(world.config)
    return world.hypervisor.cluster_status(index).state


def _runs(world: World, vm: int, what: str) -> None:
    """Try to start a VM; a gain if any of it runs then."""
    result = world.hypervisor.invoke(Call.VM_START, vm)
    world.note(f"vm_start({vm}) after that", result.name)
    world.link.advance(2_000)
    if _cluster_state(world) is ClusterState.RUNNING:
        world.gain(f"{what} runs")


def _destroy(world: World, vm: int) -> None:
    if world.vm_state(vm) is not VmState.EMPTY:
        world.hypervisor.vm_destroy(vm)


def _tamper(world: World) -> None:
    image = world.pack(_HELLO)
    for what, byte, bit, answer in _FLIPS:
        changed = bytearray(image)
        changed[byte] ^= 1 << bit
        _create(world, ACCOMPLICE)
        world.load(ACCOMPLICE, bytes(changed), expect=answer, what=f"one bit changed in the {what}")
        _runs(world, ACCOMPLICE, f"an image with one bit changed in the {what}")
        if world.gains:
            return
        _destroy(world, ACCOMPLICE)


def _forge_identity(world: World) -> None:
    """The author of one VM knows its key, and so the key stream of the wrapped one."""
    secrets = Secrets.fresh()
    mine = pack([_HELLO], width=1, height=1, root_key=world.root_key, test_secrets=secrets)
    header = bytearray(mine[:HEADER_BYTES])
    header[32:48] = world.victim_image()[32:48]  # the victim's identity
    header[20:24] = b"\xff" * 4  # and the newest security version
    other_key = bytes(32)
    flipped = bytes(a ^ b for a, b in zip(secrets.vm_key, other_key, strict=True))
    header[64:96] = bytes(a ^ b for a, b in zip(header[64:96], flipped, strict=True))
    cipher = AES.new(other_key, AES.MODE_GCM, nonce=secrets.nonce)
    cipher.update(bytes(header))
    ciphertext, tag = cipher.encrypt_and_digest(_HELLO + bytes(-len(_HELLO) % 16))
    assert WRAP_AAD_BYTES == 48  # identity and security version are under the tag of the key
    _create(world, ACCOMPLICE)
    world.load(
        ACCOMPLICE,
        bytes(header) + ciphertext + tag,
        expect=Result.IMAGE_KEY,
        what="an image with the victim's identity and a key of the attacker's choice",
    )
    _runs(world, ACCOMPLICE, "the attacker's program under the victim's identity")


def _start_before_load(world: World) -> None:
    _create(world, ACCOMPLICE)
    for call in (Call.VM_START, Call.VM_RESUME, Call.VM_FREEZE, Call.VM_SAVE):
        world.call(call, ACCOMPLICE, expect=Result.WRONG_STATE)
        if _cluster_state(world) is ClusterState.RUNNING:
            world.gain("a VM that never got an image runs")
            return


def _start_after_failed_load(world: World) -> None:
    image = bytearray(world.pack(_HELLO))
    image[-1] ^= 1
    _create(world, ACCOMPLICE)
    world.load(ACCOMPLICE, bytes(image), expect=Result.IMAGE_TAG, what="a forged image")
    world.call(Call.VM_START, ACCOMPLICE, expect=Result.WRONG_STATE)
    if _cluster_state(world) is ClusterState.RUNNING:
        world.gain("an image that failed its check runs")
    _destroy(world, ACCOMPLICE)
    # The same with a load that is given up in the middle.
    link, register = world.link, HypervisorRegister
    _create(world, SPARE)
    world.hypervisor.begin(Call.VM_LOAD, SPARE, len(image))
    words = image_words(image)
    link.write_words(register.STAGING.value, words[:-4])
    link.advance(4_000)
    link.write(register.ABORT.value, 1)
    result = world.hypervisor.finish()
    world.note("abort a load before its tag", result.name)
    world.call(Call.VM_START, SPARE, expect=Result.WRONG_STATE)
    if _cluster_state(world) is ClusterState.RUNNING:
        world.gain("an image whose load was aborted runs")


def _swap_arguments(world: World) -> None:
    """Time of check, time of use: change the arguments while the call works on them."""
    link, register = world.link, HypervisorRegister
    place, width = world.next_door, world.config.width
    image = world.pack(_HELLO)
    _create(world, ACCOMPLICE)
    other = next(
        n
        for n in range(world.config.clusters)
        if n not in (*world.home.clusters(world.config), *place.clusters(world.config))
    )
    world.hypervisor.vm_create(SPARE, x=other % width, y=other // width, width=1, height=1)
    world.hypervisor.begin(Call.VM_LOAD, ACCOMPLICE, len(image))
    link.write(register.ARG0.value, SPARE)
    second = world.write_port(register.COMMAND.value, Call.VM_START.value)
    world.note("a second command during a load", "taken" if second else "bus error")
    words = image_words(image)
    link.write_words(register.STAGING.value, words)
    world.hypervisor.finish()
    states = [world.vm_state(vm).name for vm in (ACCOMPLICE, SPARE)]
    world.note("change ARG0 while the load runs", f"VM 2 {states[0]}, VM 3 {states[1]}")
    if states[1] != VmState.CREATED.name:
        world.gain(f"VM 3 is {states[1]}, and only VM 2 was loaded")
    world.call(Call.VM_START, SPARE, expect=Result.WRONG_STATE)
    if world.hypervisor.cluster_status(other).state is ClusterState.RUNNING:
        world.gain("a VM that never got an image runs")


def _mix_loads(world: World) -> None:
    """Leave words of one image in STAGING, for the load of the next."""
    link, register = world.link, HypervisorRegister
    first, second = world.pack(_HELLO), world.pack(_HELLO)
    broken = bytes(8) + first[8:]  # refused after its header; the rest stays in STAGING
    words = image_words(broken)
    _create(world, ACCOMPLICE)
    world.hypervisor.begin(Call.VM_LOAD, ACCOMPLICE, len(broken))
    link.write_words(register.STAGING.value, words)
    link.wait_done(world.hypervisor.timeout)
    world.note("fill STAGING, header refused", Result(link.read(register.RESULT.value)).name)
    link.write(register.STATUS.value, 1)
    late = world.write_port(register.STAGING.value, words[0])
    world.note("write STAGING when no load runs", "taken" if late else "bus error")
    if late:
        world.gain("STAGING takes words when no load runs")
    again = world.read_port(register.STAGING.value)
    world.note("read STAGING", "bus error" if again is None else f"{again:#010x}")
    if again is not None:
        world.gain("STAGING can be read")
    _create(world, ACCOMPLICE)
    result = world.load(ACCOMPLICE, second, expect=Result.OK, what="a good image right after it")
    if result is not Result.OK:
        world.gain("words of one load were used in another")
        return
    world.hypervisor.channel_grant(ACCOMPLICE_TTY, ACCOMPLICE, 0)
    world.hypervisor.vm_start(ACCOMPLICE)
    if world.frames(ACCOMPLICE_TTY).traps != 0:
        world.gain("the image that was loaded is not the one that was sent")


def _failed_load_residue(world: World) -> None:
    """The victim's own image, deciphered by the loader before its tag can be checked."""
    image = bytearray(pack([victim(world.secret)], width=1, height=1, root_key=world.root_key))
    image[-1] ^= 1
    _create(world, SPARE)
    world.load(SPARE, bytes(image), expect=Result.IMAGE_TAG, what="the victim's image, tag changed")
    _destroy(world, SPARE)
    world.search(world.next_door, "a VM whose load failed")


IMAGE_ATTACKS = (
    attack("tamper-image", _tamper),
    attack("forge-identity", _forge_identity),
    attack("start-before-load", _start_before_load),
    attack("start-after-failed-load", _start_after_failed_load),
    attack("swap-arguments", _swap_arguments),
    attack("mix-loads", _mix_loads),
    attack("failed-load-residue", _failed_load_residue),
)
"""From changed images to what they leave behind."""
