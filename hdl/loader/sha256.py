# SPDX-License-Identifier: Apache-2.0
"""SHA-256 (FIPS 180-4), two rounds per cycle.

Byte *n* of a message or digest, in the standard's order, is bits ``[8n+7:8n]``. Names of words and
functions are the standard's.
"""

from amaranth import Array, Cat, Const, Elaboratable, Module, Mux, ResetInserter, Signal, Value
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

__all__ = ["CHUNK_CYCLES", "Sha256"]

CHUNK_CYCLES = 32
"""Cycles per 64 bytes of message, when they are there in time."""

HALVES = 8  # halves of 16-byte blocks in a chunk (a "message block" of the standard)


def _fraction(prime: int, degree: int) -> int:
    """Return the first 32 bits of the fractional part of a root (sections 4.2.2 and 5.3.3)."""
    wanted = prime << 32 * degree
    root = 0
    for bit in reversed(range(48)):
        if (root | 1 << bit) ** degree <= wanted:
            root |= 1 << bit
    return root & 0xFFFF_FFFF


_PRIMES = [n for n in range(2, 312) if all(n % divisor for divisor in range(2, n))]
_K = [_fraction(prime, 3) for prime in _PRIMES]
_IV = [_fraction(prime, 2) for prime in _PRIMES[:8]]


def _swap(word: Value) -> Value:
    """Return the 32-bit word with its bytes in the other order."""
    return Cat(word.word_select(n, 8) for n in reversed(range(4)))


def _xor(x: Value, *turns: int, shift: int = 0) -> Value:
    """Return the sum of rotations to the right and, if asked for, one shift."""
    result = x >> shift if shift else Const(0, 32)
    for turn in turns:
        result = result ^ x.rotate_right(turn)
    return result


def _choose(x: Value, y: Value, z: Value) -> Value:
    return z ^ (x & (y ^ z))


def _majority(x: Value, y: Value, z: Value) -> Value:
    return (x & y) | (z & (x | y))


class _Feed(enum.Enum, shape=2):
    SCRUB = 0  # zeros into the buffer, whatever a message before has left there
    MESSAGE = 1
    PAD = 2
    ENDED = 3


class Sha256(wiring.Component):
    """Digest of a message of whole 16-byte blocks, below 2**32 bytes.

    Members
    -------
    clear : :py:`In(1)`
        Begins anew; so does a reset. ``sink`` takes nothing in the 8 cycles after it.
    sink : :py:`In(stream.Signature(128))`
        The message. ``ready`` does not depend on ``valid``.
    finish : :py:`In(1)`
        The message is complete: high for one cycle, not before the one in which its last block is
        taken. No block is taken after it.
    done : :py:`Out(1)`
        High for one cycle: the digest is there.
    digest : :py:`Out(256)`
        Valid from ``done`` to ``clear``; zero after ``clear``.

    Notes
    -----
    * 64 bytes take :data:`CHUNK_CYCLES` cycles. A block each 8 cycles is taken without a pause;
      ``done`` comes at most 100 cycles after ``finish``. All this depends on handshakes alone,
      never on the message (P7).
    * Three stages: K + W; sums of it with words of the state that are known a cycle ahead (the
      words that round has only to move); two rounds. The schedule's window takes in the next chunk
      while it gives out the last words of this one; the hash value is added in the last round.
    * ``clear`` leaves nothing of the message: registers are reset, the buffer is overwritten.

    Source: FIPS 180-4, sections 4.1.2, 4.2.2, 5.1.1, 5.3.3 and 6.2.2.
    """

    clear: Signal
    sink: stream.Interface
    finish: Signal
    done: Signal
    digest: Signal
    buffer: Memory  # there once elaborated; for tests

    def __init__(self) -> None:
        super().__init__(
            {
                "clear": In(1),
                "sink": In(stream.Signature(128)),
                "finish": In(1),
                "done": Out(1),
                "digest": Out(256),
            }
        )

    def elaborate(self, platform: object) -> Elaboratable:
        """One counter for all stages; all wait where the next chunk is not there yet."""
        m = Module()
        step = Signal(range(CHUNK_CYCLES), init=24)  # pair of words at the head of the window
        advance = Signal()
        fresh = Signal()  # the window holds a chunk, not what came after the last one
        live = Signal()  # the rounds are about a chunk
        halted = Signal()
        ending = Signal()  # the cycle of the last two rounds of a chunk
        filling = Signal()  # the window takes two words of the next chunk
        halves, available, ended = self._feed(m, take=advance & filling)

        m.d.comb += [
            filling.eq(step >= CHUNK_CYCLES - HALVES),
            ending.eq(step == 1),  # rounds are two stages behind the window
            advance.eq((~filling | available | ended) & ~halted),
        ]
        m.d.sync += self.done.eq(0)
        with m.If(advance):
            m.d.sync += step.eq(step + 1)
            with m.If(filling):
                m.d.sync += fresh.eq(available)
            with m.If(ending):
                m.d.sync += [live.eq(fresh), halted.eq(~fresh), self.done.eq(~fresh)]

        with_k = self._schedule(m, step=step, advance=advance, filling=filling, halves=halves)
        # The first chunk has none before it: its last rounds, of an all-zero state, move the
        # initial hash value into the state.
        self._rounds(
            m,
            with_k=with_k,
            advance=advance & (live | ending),
            before_ending=step == 0,
            ending=ending,
            begun=step == 2,
        )
        return ResetInserter(self.clear)(m)

    def _feed(self, m: Module, *, take: Value) -> tuple[Value, Signal, Signal]:
        """Buffer a chunk and pad the message; return two words, whether they are there, the end.

        The buffer is a RAM, and the place in it is the place in the chunk.
        """
        m.submodules.buffer = buffer = self.buffer = Memory(shape=64, depth=HALVES, init=[])
        write = buffer.write_port()
        read = buffer.read_port(domain="comb")
        phase = Signal(_Feed)
        place = Signal(range(HALVES))  # the next half is written here
        first = Signal(range(HALVES))  # and read there
        level = Signal(range(HALVES + 1))
        written = Signal()
        later = Signal(64)  # second half of a block
        waiting = Signal()
        finishing = Signal()
        padded = Signal()  # the one bit after the message is written
        blocks = Signal(28)
        length = Cat(Const(0, 7), blocks, Const(0, 29))  # in bits

        m.d.comb += [
            write.addr.eq(place),
            write.en.eq(written),
            read.addr.eq(first),
            self.sink.ready.eq(
                (phase == _Feed.MESSAGE) & ~finishing & ~waiting & (level <= HALVES - 2)
            ),
        ]
        with m.If(self.finish):
            m.d.sync += finishing.eq(1)
        with m.If(written):
            m.d.sync += place.eq(place + 1)
        with m.Switch(phase):
            with m.Case(_Feed.SCRUB):
                m.d.comb += written.eq(1)
                with m.If(place == HALVES - 1):
                    m.d.sync += phase.eq(_Feed.MESSAGE)
            with m.Case(_Feed.MESSAGE):
                m.d.comb += write.data.eq(Mux(waiting, later, self.sink.payload[:64]))
                with m.If(waiting):
                    m.d.comb += written.eq(1)
                    m.d.sync += waiting.eq(0)
                with m.Elif(self.sink.valid & self.sink.ready):
                    m.d.comb += written.eq(1)
                    m.d.sync += [
                        later.eq(self.sink.payload[64:]),
                        waiting.eq(1),
                        blocks.eq(blocks + 1),
                    ]
                with m.Elif(finishing):
                    m.d.sync += phase.eq(_Feed.PAD)
            with m.Case(_Feed.PAD):
                m.d.comb += written.eq(level != HALVES)
                with m.If(place == HALVES - 1):
                    # the length as eight bytes, the most significant first
                    m.d.comb += write.data.eq(Cat(length[n : n + 8] for n in range(56, -1, -8)))
                    with m.If(written):
                        m.d.sync += phase.eq(_Feed.ENDED)
                with m.Else():
                    m.d.comb += write.data.eq(Mux(padded, 0, 0x80))
                    with m.If(written):
                        m.d.sync += padded.eq(1)

        available = Signal()
        ended = Signal()
        added = written & (phase != _Feed.SCRUB)
        taken = take & available
        m.d.comb += [available.eq(level != 0), ended.eq((phase == _Feed.ENDED) & ~available)]
        m.d.sync += level.eq(level + added - taken)
        with m.If(taken):
            m.d.sync += first.eq(first + 1)
        return read.data, available, ended

    def _schedule(
        self, m: Module, *, step: Value, advance: Value, filling: Value, halves: Value
    ) -> list[Signal]:
        """Move the window of 16 words on by two; return K + W of the two that were its first."""
        window = Signal(data.ArrayLayout(32, 16))
        with_k: list[Signal] = []
        fresh: list[Signal] = []
        for n in range(2):
            made = Signal(32, name=f"made{n}")
            total = Signal(32, name=f"with_k{n}")
            constants = Array(Const(value, 32) for value in _K[n::2])
            m.d.comb += made.eq(
                (_xor(window[14 + n], 17, 19, shift=10) + window[9 + n])
                + (_xor(window[1 + n], 7, 18, shift=3) + window[n])
            )
            with m.If(advance):
                m.d.sync += total.eq(window[n] + constants[step])
            fresh.append(made)
            with_k.append(total)
        with m.If(advance):
            given = Cat(_swap(halves[:32]), _swap(halves[32:]))
            entering = Mux(filling, given, Cat(fresh))
            m.d.sync += window.eq(Cat(window.as_value()[64:], entering))
        return with_k

    def _rounds(
        self,
        m: Module,
        *,
        with_k: list[Signal],
        advance: Value,
        before_ending: Value,
        ending: Value,
        begun: Value,
    ) -> None:
        """Do two rounds, and the sums that the next two begin with."""
        a, b, c, _d, e, f, g, _h = state = [Signal(32, name=name) for name in "abcdefgh"]
        hashed = [Signal(32, name=f"hash{n}", init=value) for n, value in enumerate(_IV)]
        # h + K + W of both rounds; those with d added. They start as the hash value that is to
        # come out of the last rounds before the first chunk.
        ahead = [Signal(32, name="ahead0"), Signal(32, name="ahead1", init=_IV[0])]
        ahead_d = [Signal(32, name="ahead_d0"), Signal(32, name="ahead_d1", init=_IV[4])]

        def word(name: str, value: Value) -> Signal:
            """Name a sum, so that it is 32 bits wide and made once."""
            result = Signal(32, name=name)
            m.d.comb += result.eq(value)
            return result

        def one_round(n: int, a: Value, b: Value, c: Value, e: Value, f: Value, g: Value):
            common = word(f"common{n}", _xor(e, 6, 11, 25) + _choose(e, f, g))
            from_a = word(f"from_a{n}", _xor(a, 2, 13, 22) + _majority(a, b, c))
            kept = word(f"kept{n}", ahead[n] + from_a)
            return word(f"new_a{n}", kept + common), word(f"new_e{n}", ahead_d[n] + common)

        a1, e1 = one_round(0, a, b, c, e, f, g)
        a2, e2 = one_round(1, a1, a, b, e1, e, f)
        # The hash value enters the last two rounds: where words only move, and, for the two that
        # come out of the second round, in the sums that it begins with.
        moved = [a1, a, b, e1, e, f]
        next_b, next_c, next_d, next_f, next_g, next_h = (
            word(f"next_{name}", value + Mux(ending, hashed["abcdefgh".index(name)], 0))
            for name, value in zip("bcdfgh", moved, strict=True)
        )
        next_ahead0 = word("next_ahead0", with_k[0] + next_h)
        sum1 = word("sum1", with_k[1] + next_g)
        with m.If(advance):
            m.d.sync += [
                Cat(state).eq(Cat(a2, next_b, next_c, next_d, e2, next_f, next_g, next_h)),
                ahead[0].eq(next_ahead0),
                ahead_d[0].eq(next_ahead0 + next_d),
                ahead[1].eq(sum1 + Mux(before_ending, hashed[0], 0)),
                ahead_d[1].eq(word("sum1_d", sum1 + next_c) + Mux(before_ending, hashed[4], 0)),
            ]
            with m.If(begun):
                m.d.sync += Cat(hashed).eq(Cat(state))
        m.d.comb += self.digest.eq(Cat(_swap(value) for value in state))
