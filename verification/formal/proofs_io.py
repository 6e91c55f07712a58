# SPDX-License-Identifier: Apache-2.0
"""Proofs of the I/O cluster and its network. Small geometries have every kind of neighbour."""

from typing import Any

from blindvisor.hdl.abi import Call, Result
from blindvisor.hdl.config import CONFIGURATIONS, MachineConfig
from blindvisor.hdl.ionet.tree import tree_depth
from blindvisor.verification.benches.ionet import line
from blindvisor.verification.formal.attest_spec import AttestSpec
from blindvisor.verification.formal.channel_guard_spec import ChannelGuardSpec
from blindvisor.verification.formal.ionet_spec import IoNeighboursSpec, IoSlotsSpec
from blindvisor.verification.formal.leaf_spec import LeafSpec
from blindvisor.verification.formal.monitor_calls_spec import (
    MonitorChannelsSpec,
    MonitorCodesSpec,
    MonitorValuesSpec,
)
from blindvisor.verification.formal.monitor_ends_spec import MonitorEndsSpec
from blindvisor.verification.formal.monitor_lane_spec import (
    MonitorLaunchSpec,
    MonitorLoaderSpec,
    MonitorOwnersSpec,
)
from blindvisor.verification.formal.monitor_tables_spec import MonitorTablesSpec
from blindvisor.verification.formal.node_spec import NodeSpec
from blindvisor.verification.formal.proof import Engine, Proof
from blindvisor.verification.formal.root_spec import RootSpec
from blindvisor.verification.formal.tree_spec import TreeSpec

__all__ = ["IO_PROOFS"]

THREE_CHANNELS = MachineConfig(
    name="channels3", width=2, height=1, tty_channels=1, mailbox_channels=2
)

TWO_CLUSTERS = MachineConfig(
    name="two-clusters",
    width=2,
    height=1,
    vms=2,
    memory_bytes=1024,
    tty_channels=1,
    mailbox_channels=1,
    guest_channels=2,
)

EIGHT_BY_EIGHT = MachineConfig(name="eight-by-eight", width=8, height=8)

_SLOT_FAULTS = ("leaf-any-slot", "leaf-forgets-slot", "root-early", "root-other-slot")
_NEIGHBOUR_FAULTS = (
    "lane-everybody",
    "answer-everybody",
    "interrupts-everybody",
    "slot-taken-twice",
    "frame-stretched",
)

_CREATE = (Call.VM_CREATE, 1, 1, 0, 1, 1)
_RUNS: dict[str, tuple[dict[str, Any], ...]] = {
    "codes": (
        {},
        {"script": (_CREATE, (Call.VM_LOAD, 1, 144)), "result": Result.UNKNOWN_CALL},
    ),
    "channels": (
        {},
        {"script": (_CREATE, (Call.CHANNEL_GRANT, 0, 1, 0), (Call.CHANNEL_GRANT, 0, 1, 1))},
    ),
}
"""Where a fault shows after several calls only, and PDR is slow to find it."""

IO_PROOFS = (
    *(
        Proof(
            name=f"tree-{config.clusters}",
            promises=("P3", "P12"),
            spec=lambda config=config: TreeSpec(config),
            engine=Engine.INDUCTION,
            steps=tree_depth(config) + 1,
            controls=("tree-last-unheard", "tree-levels-skipped")
            if config.clusters == CONFIGURATIONS["reference"].clusters
            else (),
        )
        for config in (CONFIGURATIONS["reference"], EIGHT_BY_EIGHT)
    ),
    *(
        Proof(
            name=f"ionet-slots-{clusters}",
            promises=("P8", "P10", "P12"),
            spec=lambda clusters=clusters: IoSlotsSpec(line(clusters)),
            cover_steps=40,
            seconds=300,
            controls=_SLOT_FAULTS if clusters == 3 else (),
            large=clusters > 3,
        )
        for clusters in (2, 3, 5)
    ),
    *(
        Proof(
            name=f"ionet-neighbours-{clusters}",
            promises=("P12",),
            spec=lambda clusters=clusters: IoNeighboursSpec(line(clusters)),
            cover_steps=40,
            seconds=900,
            controls=_NEIGHBOUR_FAULTS if clusters == 3 else (),
            large=clusters > 3,
        )
        for clusters in (2, 3, 5)
    ),
    Proof(
        name="node",
        promises=("P3", "P8", "P11", "P12"),
        spec=lambda: NodeSpec(THREE_CHANNELS),
        controls=(
            *("leaf-any-slot", "leaf-forgets-slot", "lane-everybody", "interrupts-everybody"),
        ),
    ),
    Proof(
        name="node-16",
        promises=("P3", "P8", "P11", "P12"),
        spec=lambda: NodeSpec(CONFIGURATIONS["reference"]),
    ),
    Proof(
        name="root",
        promises=("P3", "P8", "P10", "P11", "P12"),
        spec=lambda: RootSpec(line(3)),
        controls=("root-early", "root-other-slot"),
    ),
    Proof(
        name="root-16",
        promises=("P3", "P8", "P10", "P11", "P12"),
        spec=lambda: RootSpec(CONFIGURATIONS["reference"]),
        cover_steps=50,
        seconds=600,
    ),
    Proof(
        name="guard",
        promises=("P8", "P9", "P10", "P11"),
        spec=lambda: ChannelGuardSpec(THREE_CHANNELS),
        engine=Engine.INDUCTION,
        base_steps=6,
        controls=(
            "guard-serves-all",
            "guard-nobody",
            "channel-not-cleared",
            "guard-interrupts",
            "guard-silent",
            "guard-uncounted",
        ),
    ),
    Proof(
        name="attest",
        promises=("P10", "P12"),
        spec=AttestSpec,
        engine=Engine.INDUCTION,
        base_steps=10,
        cover_steps=50,
        controls=("attest-kept", "attest-early", "attest-waits"),
    ),
    Proof(
        name="leaf",
        promises=("P12",),
        spec=lambda: LeafSpec(THREE_CHANNELS),
        seconds=300,
        controls=("lane-everybody", "interrupts-everybody", "stop-all", "leaf-freeze-all"),
    ),
    *(
        Proof(
            name=f"monitor-{name}",
            promises=promises,
            spec=lambda spec=spec: spec(TWO_CLUSTERS),
            cover_steps=steps,
            guide="guided",
            runs=tuple(
                lambda spec=spec, run=run: spec(TWO_CLUSTERS, **run) for run in _RUNS.get(name, ())
            ),
            seconds=900,
            controls=controls,
            large=True,
        )
        for name, promises, spec, steps, controls in (
            (
                "owners",
                ("P3", "P4"),
                MonitorOwnersSpec,
                100,
                ("monitor-owner-unasked", "monitor-owner-refused", "rectangle-check"),
            ),
            ("loader", ("P3",), MonitorLoaderSpec, 120, ("monitor-loader-commands",)),
            (
                "launch",
                ("P6",),
                MonitorLaunchSpec,
                70,
                ("start-any-state", "failed-load-kept", "arguments-not-latched"),
            ),
            (
                "codes",
                ("P8",),
                MonitorCodesSpec,
                160,
                ("monitor-loader-code", "monitor-unknown-ok"),
            ),
            ("values", ("P9",), MonitorValuesSpec, 45, ("loader-word-in-value",)),
            ("channels", ("P10",), MonitorChannelsSpec, 160, ("channel-taken",)),
        )
    ),
    *(
        Proof(
            name=f"monitor-tables-{config.clusters}",
            promises=("P4", "P5", "P8"),
            spec=lambda config=config: MonitorTablesSpec(config, deep=config.clusters < 16),
            engine=Engine.INDUCTION,
            cover_steps=110,
            guide="guided",
            seconds=300,
            controls=(
                "monitor-frees-unscrubbed",
                "monitor-claims-nothing",
                "monitor-keeps-clusters",
                "monitor-asks-before",
            )
            if config.clusters == 2
            else (),
            large=True,
        )
        for config in (TWO_CLUSTERS, CONFIGURATIONS["reference"])
    ),
    *(
        Proof(
            name=f"monitor-ends-{config.clusters}",
            promises=("P8",),
            spec=lambda config=config: MonitorEndsSpec(config, deep=config.clusters < 16),
            engine=Engine.INDUCTION,
            cover_steps=50,
            guide="guided",
            seconds=300,
            controls=("monitor-unknown-hangs",) if config.clusters == 2 else (),
            large=True,
        )
        for config in (TWO_CLUSTERS, CONFIGURATIONS["reference"])
    ),
)
"""In the order of the design's parts."""
