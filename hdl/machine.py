# SPDX-License-Identifier: Apache-2.0
"""The whole machine: a mesh of tiles, the I/O network's tree and the I/O cluster."""

from typing import Any

from amaranth import Cat, ClockSignal, Const, Instance, Module, ResetSignal, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from blindvisor.hdl.cluster.routers import NETWORKS
from blindvisor.hdl.cluster.tile import tile_signature
from blindvisor.hdl.config import MachineConfig
from blindvisor.hdl.iocluster.bus import HypervisorBus
from blindvisor.hdl.iocluster.iocluster import IoCluster
from blindvisor.hdl.iocluster.tty_mux import TTY_BYTE
from blindvisor.hdl.ionet.tree import IoTree
from blindvisor.hdl.loader.store import StorePort

__all__ = ["TILE_MODULE", "Machine"]

TILE_MODULE = "blindvisor_tile"
"""Name of the tile's Verilog module, of which the machine has an instance per cluster."""


class Machine(wiring.Component):
    """Tiles (x, y), x growing to the east and y to the south, around one I/O cluster.

    The tile is instantiated by name: its Verilog is made once (see ``generate``), so that time and
    size of generation do not grow with a copy per cluster.

    Members
    -------
    hypervisor : :py:`In(HypervisorBus())`
        The hypervisor's only door.
    interrupt : :py:`Out(1)`
        A call has ended.
    root_key : :py:`In(256)`
        From the key store: fuses, a bitstream constant, or the bench. First byte in bits [7:0].
    epoch, epoch_valid : :py:`In(64)`, :py:`In(1)`
        From the key store: the number of this power-on, which it gives no second time. Without one
        the machine saves no VM.
    store : :py:`Out(StorePort(config))`
        What the machine remembers of each VM identity; beside the key store.
    tty_out, tty_in : streams of TTY_BYTE
        The multiplexed terminal lines.
    """

    hypervisor: Any
    interrupt: Signal
    root_key: Signal
    epoch: Signal
    epoch_valid: Signal
    store: Any
    tty_out: stream.Interface
    tty_in: stream.Interface

    def __init__(self, config: MachineConfig) -> None:
        self._config = config
        super().__init__(
            {
                "hypervisor": In(HypervisorBus()),
                "interrupt": Out(1),
                "root_key": In(256),
                "epoch": In(64),
                "epoch_valid": In(1),
                "store": Out(StorePort(config)),
                "tty_out": Out(stream.Signature(TTY_BYTE)),
                "tty_in": In(stream.Signature(TTY_BYTE)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Place the tiles and join neighbours; what leaves the mesh meets a wall."""
        config = self._config
        m = Module()
        m.submodules.iocluster = iocluster = IoCluster(config)
        m.submodules.tree = tree = IoTree(config)
        connect(m, flipped(self.hypervisor), iocluster.hypervisor)
        connect(m, iocluster.store, flipped(self.store))
        connect(m, iocluster.tty_out, flipped(self.tty_out))
        connect(m, flipped(self.tty_in), iocluster.tty_in)
        m.d.comb += [
            self.interrupt.eq(iocluster.interrupt),
            iocluster.root_key.eq(self.root_key),
            iocluster.epoch.eq(self.epoch),
            iocluster.epoch_valid.eq(self.epoch_valid),
            tree.down.eq(iocluster.down),
            iocluster.up.eq(tree.up),
        ]

        tiles = {}
        for y in range(config.height):
            for x in range(config.width):
                index = y * config.width + x
                tile: Any = tile_signature(config).create(path=(f"tile_{x}_{y}",))
                tiles[x, y] = tile
                m.submodules[f"tile_{x}_{y}"] = _instance(tile)
                m.d.comb += [
                    tile.position.eq(Cat(Const(x, 4), Const(y, 4))),
                    tile.index.eq(index),
                    tile.down.eq(tree.leaves_down[index]),
                    tree.leaves_up[index].eq(tile.up),
                ]

        for (x, y), tile in tiles.items():
            for network in NETWORKS:
                for side, step in (("east", (1, 0)), ("south", (0, 1))):
                    other = {"east": "west", "south": "north"}[side]
                    neighbour = tiles.get((x + step[0], y + step[1]))
                    if neighbour is not None:
                        _link(m, tile, f"{network}_{side}", neighbour, f"{network}_{other}")
                    else:
                        _wall(m, tile, f"{network}_{side}")
                for side, edge in (("west", x == 0), ("north", y == 0)):
                    if edge:
                        _wall(m, tile, f"{network}_{side}")
        return m


def _instance(tile: Any) -> Instance:
    """Instance whose ports are the members of ``tile``."""
    ports: list[tuple[str, str, Any]] = [
        ("i", "clk", ClockSignal()),
        ("i", "rst", ResetSignal()),
    ]
    for path, member, value in tile.signature.flatten(tile):
        flow = "i" if member.flow == wiring.In else "o"
        ports.append((flow, "__".join(map(str, path)), Value.cast(value)))
    return Instance(TILE_MODULE, *ports)


def _link(m: Module, one: Any, side: str, other: Any, other_side: str) -> None:
    """Join two neighbours in both directions."""
    for source, sink in (
        (getattr(one, f"{side}_out"), getattr(other, f"{other_side}_in")),
        (getattr(other, f"{other_side}_out"), getattr(one, f"{side}_in")),
    ):
        m.d.comb += [
            sink.valid.eq(source.valid),
            sink.payload.eq(source.payload),
            source.ready.eq(sink.ready),
        ]


def _wall(m: Module, tile: Any, side: str) -> None:
    """Nothing comes from beyond the edge, and nothing waits to get there."""
    m.d.comb += [
        getattr(tile, f"{side}_in").valid.eq(0),
        getattr(tile, f"{side}_in").payload.eq(0),
        getattr(tile, f"{side}_out").ready.eq(1),
    ]
