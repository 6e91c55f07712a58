# SPDX-License-Identifier: Apache-2.0
"""Proofs of a compute cluster's parts, other than those of the checks on the mesh's border."""

from dataclasses import replace

from blindvisor.hdl.config import CONFIGURATIONS
from blindvisor.hdl.smmu.faults import FaultRecord
from blindvisor.hdl.smmu.smmu import FAULT_SOURCES
from blindvisor.verification.formal.channel_table_spec import ChannelTableSpec
from blindvisor.verification.formal.faults_spec import FaultRecordSpec
from blindvisor.verification.formal.initiator_spec import InitiatorSpec
from blindvisor.verification.formal.interconnect_spec import InterconnectSpec
from blindvisor.verification.formal.interrupts_spec import InterruptsSpec
from blindvisor.verification.formal.laneport_spec import LanePortSpec
from blindvisor.verification.formal.proof import Engine, Proof
from blindvisor.verification.formal.scrub_spec import ScrubSpec
from blindvisor.verification.formal.scrubber_spec import ScrubberSpec
from blindvisor.verification.formal.target_spec import TargetSpec
from blindvisor.verification.formal.window_spec import WindowSpec

__all__ = ["TILE_PROOFS"]

_REFERENCE = CONFIGURATIONS["reference"]

TILE_PROOFS = (
    Proof(
        name="faults",
        promises=("P9",),
        spec=lambda: FaultRecordSpec(FaultRecord(sources=FAULT_SOURCES), sources=FAULT_SOURCES),
        controls=("faults-lost-in-clear", "faults-last-kept", "faults-two-count-one"),
    ),
    Proof(
        name="channel-table",
        promises=("P10", "P11"),
        spec=lambda: ChannelTableSpec(_REFERENCE),
        controls=(
            "table-always-writable",
            "table-clear-ignored",
            "table-any-channel",
            "pending-ungated",
            "window-open",
        ),
    ),
    Proof(
        name="lane-port",
        promises=("P1", "P2"),
        spec=lambda: LanePortSpec(words=_REFERENCE.memory_words),
        controls=("lane-port-writes", "lane-port-reads", "lane-wraps", "lane-reply-leaks"),
    ),
    Proof(
        name="target",
        promises=("P5", "P8"),
        spec=TargetSpec,
        controls=(
            "target-always-serves",
            "target-malformed",
            "target-excess",
            "target-error-hidden",
        ),
    ),
    Proof(
        name="initiator",
        promises=("P5", "P8"),
        spec=lambda: InitiatorSpec(cores=2),
        controls=(
            "initiator-uncopied",
            "initiator-twice",
            "initiator-denial-unanswered",
            "initiator-orphan",
            "initiator-always-starts",
        ),
    ),
    Proof(
        name="window",
        promises=("P5", "P8", "P9", "P10"),
        spec=WindowSpec,
        controls=(
            "window-unchecked",
            "window-part-words",
            "window-revoked-late",
            "window-uncounted",
        ),
    ),
    Proof(
        name="interrupts",
        promises=("P5", "P11"),
        spec=lambda: InterruptsSpec(cores=2, guest_channels=_REFERENCE.guest_channels),
        engine=Engine.INDUCTION,
        base_steps=6,
        controls=(
            "mailbox-of-anybody",
            "external-always-enabled",
            "mailbox-outlives",
            "time-never-stops",
            "timer-of-the-first",
        ),
    ),
    Proof(
        name="interconnect",
        promises=("P5", "P8"),
        spec=lambda: InterconnectSpec(replace(_REFERENCE, name="two-cores", cores=2)),
        controls=(
            "interconnect-runs-always",
            "interconnect-not-blocked",
            "interconnect-answers-all",
            "interconnect-wraps",
            "order-kept",
            "interconnect-other-data",
            "interconnect-other-answer",
            "interconnect-unfair",
        ),
    ),
    Proof(
        name="scrubber",
        promises=("P5",),
        spec=lambda: ScrubberSpec(words=32),
        engine=Engine.INDUCTION,
        base_steps=34,
        cover_steps=34,
        controls=("scrub-half",),
    ),
    Proof(
        name="scrub",
        promises=("P5",),
        spec=lambda: ScrubSpec(words=32),
        cover_steps=80,
        controls=("scrub-memory", "scrub-half", "free-without-scrub", "power-on-clean"),
    ),
)
"""By the way of a request: record, table, lane, target, initiator, window, interconnect, end."""
