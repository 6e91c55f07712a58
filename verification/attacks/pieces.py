# SPDX-License-Identifier: Apache-2.0
"""Attacks with authentic pieces, put together wrongly: of images, of saved states."""

from collections.abc import Callable

from blindvisor.hdl.abi import Call, ClusterState, HypervisorRegister, Result, VmState
from blindvisor.sw.image.format import HEADER_BYTES, TAG_BYTES
from blindvisor.sw.image.pack import pack
from blindvisor.verification.attacks.attack import attack
from blindvisor.verification.attacks.programs import prober, victim
from blindvisor.verification.attacks.world import ACCOMPLICE, World

__all__ = ["PIECE_ATTACKS"]

_BLOCK = 16
_LONG = prober([]).ljust(8 * _BLOCK, b"\x13")  # its first blocks differ
_SAVED_FLIPS = (
    # what, byte (negative: from the end), bit
    ("security version", 23, 7),
    ("generation", 27, 7),
    ("nonce", 112, 0),
    ("measurement", 159, 7),
    ("first byte of the contents", HEADER_BYTES, 0),
    ("last byte of the contents", -TAG_BYTES - 1, 7),
    ("first byte of the tag", -TAG_BYTES, 0),
    ("last byte of the tag", -1, 7),
)


def _create(world: World, *, width: int = 1, height: int = 1) -> None:
    world.create(ACCOMPLICE, width=width, height=height)


def _refused(world: World, image: bytes, answer: Result, what: str) -> None:
    """Load an image that must be refused, and try to start it; a gain if it was taken."""
    world.load(ACCOMPLICE, image, expect=answer, what=what)
    started = world.hypervisor.invoke(Call.VM_START, ACCOMPLICE)
    (index,) = world.next_door.clusters(world.config)
    state = world.hypervisor.cluster_status(index).state
    world.note("start it", f"{started.name}, cluster {state.name}")
    if started is Result.OK or state is ClusterState.RUNNING:
        world.gain(f"{what} runs")
    if world.vm_state(ACCOMPLICE) is not VmState.EMPTY:
        world.hypervisor.vm_destroy(ACCOMPLICE)


def _changed(
    world: World, change: Callable[[bytes], bytes], answer: Result, what: str, program: bytes
) -> None:
    _create(world)
    _refused(world, change(world.pack(program)), answer, what)


def _blocks(image: bytes) -> list[bytes]:
    """Return the blocks of the contents of an image."""
    contents = image[HEADER_BYTES:-TAG_BYTES]
    return [contents[n : n + _BLOCK] for n in range(0, len(contents), _BLOCK)]


def _with_blocks(image: bytes, blocks: list[bytes]) -> bytes:
    return image[:HEADER_BYTES] + b"".join(blocks) + image[-TAG_BYTES:]


def _swap_pieces(world: World) -> None:
    def swapped(image: bytes) -> bytes:
        first, second, *rest = _blocks(image)
        return _with_blocks(image, [second, first, *rest])

    _changed(world, swapped, Result.IMAGE_TAG, "an image with two blocks swapped", _LONG)


def _replay_piece(world: World) -> None:
    def replayed(image: bytes) -> bytes:
        first, _, *rest = _blocks(image)
        return _with_blocks(image, [first, first, *rest])

    _changed(world, replayed, Result.IMAGE_TAG, "an image with one block sent twice", _LONG)


def _splice_images(world: World) -> None:
    other = world.pack(_LONG)

    def spliced(image: bytes) -> bytes:
        return image[:HEADER_BYTES] + other[HEADER_BYTES:]

    _changed(world, spliced, Result.IMAGE_TAG, "one image's header on another's contents", _LONG)


def _other_machine(world: World) -> None:
    elsewhere = bytes(byte ^ 0x5A for byte in world.root_key)
    image = pack([prober([])], width=1, height=1, root_key=elsewhere)
    _create(world)
    _refused(world, image, Result.IMAGE_KEY, "an image for another machine")


def _wrong_shape(world: World) -> None:
    """As many clusters as it asks for, in another order."""
    width = world.home.width
    _create(world, width=width)
    image = world.pack(prober([]), 1, width)
    result = world.load(
        ACCOMPLICE, image, expect=Result.IMAGE_SIZE, what=f"1 x {width} as {width} x 1"
    )
    if result is Result.OK:
        world.gain(f"an image of 1 x {width} clusters was taken for a VM of {width} x 1")


def _load_twice(world: World) -> None:
    """The second image in place of the one that was accepted."""
    _create(world)
    world.load(ACCOMPLICE, world.pack(prober([])), expect=Result.OK, what="an image")
    again = world.pack(victim(world.secret))
    result = world.load(ACCOMPLICE, again, expect=Result.WRONG_STATE, what="another one over it")
    if result is Result.OK or world.vm_state(ACCOMPLICE) is not VmState.READY:
        world.gain(f"a VM that had its image got another one: {result.name}")


def _saved(world: World) -> bytes:
    """Return a saved state of an accomplice, which stays frozen."""
    _create(world)
    image = pack([_LONG], width=1, height=1, root_key=world.root_key, identity=b"saved in pieces!")
    world.load(ACCOMPLICE, image, expect=Result.OK, what="an image")
    world.hypervisor.vm_start(ACCOMPLICE)
    world.hypervisor.vm_freeze(ACCOMPLICE)
    result, words = world.hypervisor.save(ACCOMPLICE)
    if result is not Result.OK:
        raise RuntimeError(f"the accomplice must be saved, not {result.name}")
    return words


def _tamper_saved(world: World) -> None:
    saved = _saved(world)
    world.hypervisor.vm_destroy(ACCOMPLICE)
    for what, byte, bit in _SAVED_FLIPS:
        changed = bytearray(saved)
        changed[byte] ^= 1 << bit
        _create(world)
        what = f"a saved state with one bit changed in the {what}"
        _refused(world, bytes(changed), Result.IMAGE_TAG, what)
        if world.gains:
            return


def _abort_and_save_again(world: World) -> None:
    """Nothing runs between the two, so the same plaintext is enciphered twice."""
    link, register = world.link, HypervisorRegister
    whole = _saved(world)
    pieces = HEADER_BYTES + 8 * _BLOCK
    world.hypervisor.begin(Call.VM_SAVE, ACCOMPLICE)
    words = link.read_words(register.SAVED.value, pieces // 4)
    link.write(register.ABORT.value, 1)
    result = world.hypervisor.finish()
    again = world.hypervisor.save(ACCOMPLICE)[1]
    world.note("abort a save after some blocks", result.name)
    if result is not Result.ABORTED:
        world.surprises.append(f"an aborted save ended with {result.name}")
    part = b"".join(word.to_bytes(4, "little") for word in words)
    saves = [whole, part, again]
    for one, two in ((0, 1), (1, 2)):
        same = sum(
            saves[one][n : n + _BLOCK] == saves[two][n : n + _BLOCK]
            for n in range(HEADER_BYTES, pieces, _BLOCK)
        )
        world.note(f"compare save {one + 1} and {two + 1}", f"{same} of 8 blocks are equal")
        if same:
            world.gain(f"{same} blocks of a save that was aborted have another one's keystream")


PIECE_ATTACKS = (
    attack("swap-pieces", _swap_pieces, shown=False),
    attack("replay-piece", _replay_piece, shown=False),
    attack("splice-images", _splice_images, shown=False),
    attack("other-machine", _other_machine, shown=False),
    attack("wrong-shape", _wrong_shape, shown=False),
    attack("load-twice", _load_twice, shown=False),
    attack("tamper-saved", _tamper_saved, shown=False),
    attack("abort-and-save-again", _abort_and_save_again, shown=False),
)
"""Images, then saved states."""
