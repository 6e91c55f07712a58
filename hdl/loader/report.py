# SPDX-License-Identifier: Apache-2.0
"""Attestation reports: what was launched, on which machine, for whose nonce."""

from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["ReportPort"]


class ReportPort(wiring.Signature):
    """How a channel asks the loader for a report, seen from the channel.

    Members
    -------
    valid : :py:`Out(1)`
        A report is wanted; held, with ``vm`` and ``nonce``, until the last word is taken or
        ``cancel``.
    vm, nonce : :py:`Out(8)`, :py:`Out(256)`
        Slot of the VM that asks (the channel's owner); the verifier's nonce.
    cancel : :py:`Out(1)`
        Gives up the report that is being made; nothing of it is offered afterwards.
    words : :py:`In(stream.Signature(32))`
        ``abi.REPORT_WORDS`` words, in order.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "valid": Out(1),
                "vm": Out(8),
                "nonce": Out(256),
                "cancel": Out(1),
                "words": In(stream.Signature(32)),
            }
        )
