# SPDX-License-Identifier: Apache-2.0
"""Forward cipher of AES-128 and AES-256 (FIPS 197), key schedule on the fly.

Byte *n* of a block or key, in the standard's order, is bits ``[8n+7:8n]`` here; so word *i* of the
key schedule and column *c* of the state are 32-bit slices with their byte 0 lowest.
"""

from functools import reduce
from operator import xor
from typing import Any

from amaranth import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from blindvisor.hdl.loader.sbox import SBox

__all__ = ["Aes", "CipherUser", "cipher_cycles", "cipher_lanes"]

ROUNDS_256 = 14
ROUNDS_128 = 10


def cipher_lanes(sboxes: int) -> int:
    """Return how many blocks a cipher with so many S-boxes works on at once.

    Raises
    ------
    :exc:`ValueError`
        If there is no cipher with so many.
    """
    if sboxes not in (4, 8, 16, 32, 64):
        raise ValueError(f"S-box count must be 4, 8, 16, 32 or 64, not {sboxes!r}")
    return max(1, sboxes // 16)


def cipher_cycles(sboxes: int, *, short: bool = False) -> int:
    """Return the cycles from ``start`` to ``ready`` of AES-256, or of AES-128 if ``short``."""
    return 1 + (ROUNDS_128 + 1 if short else ROUNDS_256) * (16 // min(sboxes, 16))


class CipherUser(wiring.Signature):
    """What a user of the cipher sees of it; the key is not its business.

    Parameters
    ----------
    lanes : :class:`int`
        Blocks that are enciphered at once, all with the same key.

    Members
    -------
    start : :py:`Out(1)`
        Takes ``blocks`` and the key; whatever was being worked on is given up.
    blocks : :py:`Out(data.ArrayLayout(128, lanes))`
        Plain blocks.
    ready : :py:`In(1)`
        The blocks of the last ``start`` are in ``results``. Low from the cycle after ``start``.
    results : :py:`In(data.ArrayLayout(128, lanes))`
        Ciphered blocks, kept until the next ``start``. Meaningless while ``ready`` is low.
    """

    def __init__(self, lanes: int) -> None:
        blocks = data.ArrayLayout(128, lanes)
        super().__init__(
            {"start": Out(1), "blocks": Out(blocks), "ready": In(1), "results": In(blocks)}
        )


def _double(byte: Value) -> Value:
    """Return the byte times x in the field of AES."""
    return Cat(byte[7], byte[:7]) ^ Mux(byte[7], 0x1A, 0)


def _mix(column: list[Value]) -> list[Value]:
    """Return MixColumns of one column (FIPS 197, section 5.1.3)."""
    total = reduce(xor, column)
    return [byte ^ total ^ _double(byte ^ column[(row + 1) % 4]) for row, byte in enumerate(column)]


class Aes(wiring.Component):
    """Enciphers one to four blocks at once.

    Each block has its own datapath, which makes 1, 2 or 4 columns of the state per cycle; all share
    one key schedule.

    Parameters
    ----------
    sboxes : :class:`int`
        S-boxes of the datapaths: 4, 8, 16 (one block), 32 (two) or 64 (four). The key schedule has
        four more.

    Members
    -------
    key : :py:`In(256)`
        Key; AES-128 uses the low half. Sampled with ``start``.
    short : :py:`In(1)`
        AES-128 instead of AES-256. Must not change while blocks are being worked on.
    user : :py:`In(CipherUser(lanes))`

    Raises
    ------
    :exc:`ValueError`
        If ``sboxes`` is none of the above.

    Notes
    -----
    ``ready`` comes :func:`cipher_cycles` cycles after ``start`` whatever key and blocks are (P7); a
    new ``start`` may come in the same cycle. State and round keys are left in registers: reset the
    component to clear them.

    Source: FIPS 197 (2023), sections 5.1 and 5.2.
    """

    # For type checkers; the shapes depend on the parameters, so __init__ sets the signature.
    key: Signal
    short: Signal
    user: Any

    def __init__(self, *, sboxes: int = 16) -> None:
        self.lanes = cipher_lanes(sboxes)
        self.sboxes = sboxes
        self.columns = min(sboxes, 16) // 4
        super().__init__({"key": In(256), "short": In(1), "user": In(CipherUser(self.lanes))})

    def elaborate(self, platform: object) -> Module:
        """Build the round counter, the key schedule and one datapath per block."""
        m = Module()
        step = Signal()  # a part of a round is done
        left = Signal(range(ROUNDS_256 + 1))  # rounds that are not finished
        part = Signal(range(max(2, 4 // self.columns)))  # of the round: which columns
        round_key = Signal(32 * self.columns)
        last_part = part == 4 // self.columns - 1
        # An AES-256 key holds the key of round 1; that of AES-128 is made first, in a round's time.
        early = Signal()

        m.d.comb += [step.eq(left != 0), self.user.ready.eq(~step)]
        with m.If(self.user.start):
            m.d.sync += [
                left.eq(Mux(self.short, ROUNDS_128 + 1, ROUNDS_256)),
                part.eq(0),
                early.eq(self.short),
            ]
        with m.Elif(step):
            m.d.sync += [part.eq(Mux(last_part, 0, part + 1)), left.eq(left - last_part)]
            with m.If(last_part):
                m.d.sync += early.eq(0)

        self._key_schedule(m, step=step, first_part=part == 0, round_key=round_key)
        for lane in range(self.lanes):
            self._datapath(
                m,
                lane,
                step=step & ~early,
                last_part=last_part,
                final=left == 1,
                round_key=round_key,
            )
        return m

    def _key_schedule(
        self, m: Module, *, step: Value, first_part: Value, round_key: Signal
    ) -> None:
        """Move the window of eight words on with the columns; its later half is the round key."""
        words = Signal(data.ArrayLayout(32, 8))  # the oldest first
        rotate = Signal()  # this round's first word takes RotWord and Rcon
        rcon = Signal(8)
        newest = words[7]
        substituted = Signal(32)
        for n in range(4):
            m.submodules[f"key_sbox{n}"] = box = SBox()
            m.d.comb += [
                box.data.eq(newest.word_select(n, 8)),
                substituted.word_select(n, 8).eq(box.value),
            ]
        rotated = substituted.rotate_right(8) ^ rcon

        fresh: list[Value] = []
        last = Mux(first_part, Mux(rotate, rotated, substituted), newest)
        for n in range(self.columns):
            word = Signal(32, name=f"fresh{n}")
            m.d.comb += word.eq(Mux(self.short, words[4 + n], words[n]) ^ last)
            fresh.append(word)
            last = word
        m.d.comb += round_key.eq(Cat(words[4 + n] for n in range(self.columns)))

        with m.If(self.user.start):
            later = Mux(self.short, self.key[:128], self.key[128:])
            m.d.sync += [words.eq(Cat(self.key[:128], later)), rotate.eq(1), rcon.eq(1)]
        with m.Elif(step):
            m.d.sync += words.eq(Cat(*(words[n] for n in range(self.columns, 8)), *fresh))
            with m.If(first_part):
                m.d.sync += rotate.eq(self.short | ~rotate)
                with m.If(rotate):
                    m.d.sync += rcon.eq(_double(rcon))

    def _datapath(
        self, m: Module, lane: int, *, step: Value, last_part: Value, final: Value, round_key: Value
    ) -> None:
        """Make the next columns of the state; turn it by as many, so that they come from below."""
        state = Signal(data.ArrayLayout(32, 4), name=f"state{lane}")
        made: list[Value] = []
        for column in range(self.columns):
            substituted: list[Value] = []
            for row in range(4):
                m.submodules[f"sbox{lane}_{column}_{row}"] = box = SBox()
                # ShiftRows: row r of column c comes from column c + r
                m.d.comb += box.data.eq(state[(column + row) % 4].word_select(row, 8))
                substituted.append(box.value)
            mixed = Mux(final, Cat(substituted), Cat(_mix(substituted)))
            made.append(mixed ^ round_key.word_select(column, 32))

        if self.columns == 4:
            after = Cat(made)
        else:
            kept = Signal(data.ArrayLayout(32, 4 - self.columns), name=f"kept{lane}")
            turned = [state[(n + self.columns) % 4] for n in range(4)]
            after = Mux(last_part, Cat(kept, *made), Cat(turned))
            with m.If(step):
                m.d.sync += kept.eq(Cat(kept, *made)[32 * self.columns :])
        with m.If(self.user.start):
            m.d.sync += state.eq(self.user.blocks[lane] ^ self.key[:128])
        with m.Elif(step):
            m.d.sync += state.eq(after)
        m.d.comb += self.user.results[lane].eq(state)
