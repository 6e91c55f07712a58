# SPDX-License-Identifier: Apache-2.0
"""Who has the cipher, the hash and the key derivation: a load, a save, or a report."""

from amaranth import Cat, Const, Module, Mux, Signal, Value

from blindvisor.hdl.loader.aes import Aes
from blindvisor.hdl.loader.gcm import GCM_INPUT
from blindvisor.hdl.loader.kdf import KdfLabel
from blindvisor.hdl.loader.process import Phase, Process
from blindvisor.hdl.loader.report import Reporter

__all__ = ["share_cipher"]


def share_cipher(
    m: Module, s: Process, aes: Aes, reporter: Reporter, *, root_key: Value, begin: Value
) -> None:
    """Join the parts, and keep the cipher's key: the root key, then what it unlocks, step by step.

    ``begin``: a load or save begins, with ``root_key``.
    """
    kdf, gcm, sha = s.kdf, s.gcm, s.sha
    m.d.comb += [
        aes.user.start.eq(kdf.cipher.start | gcm.cipher.start),
        aes.user.blocks.eq(Mux(gcm.cipher.start, gcm.cipher.blocks, kdf.cipher.blocks)),
        kdf.cipher.ready.eq(aes.user.ready),
        gcm.cipher.ready.eq(aes.user.ready),
        kdf.cipher.results.eq(aes.user.results),
        gcm.cipher.results.eq(aes.user.results),
        kdf.start.eq((s.phase == Phase.DERIVE) | reporter.kdf_start),
        kdf.mac.eq(reporter.kdf_mac),
        kdf.label.eq(Mux(s.save | s.check.sealed, KdfLabel.SAVE, KdfLabel.WRAP)),
        kdf.context.eq(s.header_read.data),
        kdf.message.eq(sha.digest),
        reporter.kdf_valid.eq(kdf.valid),
        reporter.kdf_half.eq(kdf.half),
        reporter.kdf_done.eq(kdf.done),
        reporter.hash.ready.eq(sha.sink.ready),
        reporter.hash_done.eq(sha.done),
        sha.sink.valid.eq(s.hashed | reporter.hash.valid),
        sha.sink.payload.eq(gcm.sink.payload.data),
        sha.finish.eq(s.hash_finish | reporter.hash_finish),
        gcm.nonce.eq(s.header_read.data),
        gcm.decrypt.eq(~s.save),
    ]
    with m.If(reporter.busy):
        m.d.comb += [
            kdf.label.eq(reporter.kdf_label),
            sha.sink.payload.eq(reporter.hash.payload),
        ]
    source = Signal(128)
    m.d.comb += [
        source.eq(s.header_read.data),
        gcm.source.payload.eq(Cat(source, Const(16, GCM_INPUT["count"].width), s.kind)),
    ]
    with m.Switch(s.phase):
        with m.Case(Phase.WRITE):
            m.d.comb += source.eq(s.gather.blocks.payload)
        with m.Case(Phase.READ):
            m.d.comb += source.eq(s.reader.blocks.payload)

    key, first_half = Signal(256), Signal(128)
    is_second = Signal()
    m.d.comb += aes.key.eq(key)
    with m.If(begin | reporter.key_root):
        m.d.sync += key.eq(root_key)
    # The keystream of both halves of the VM key is there before the second replaces the key.
    half = Mux(kdf.valid, kdf.half, gcm.sink.payload.data)
    derived = kdf.valid & (~reporter.busy | reporter.key_derived)
    with m.If(derived | ((s.phase == Phase.UNWRAP) & gcm.sink.valid)):
        m.d.sync += [first_half.eq(half), is_second.eq(~is_second)]
        with m.If(is_second):
            m.d.sync += key.eq(Cat(first_half, half))
