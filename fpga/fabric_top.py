# SPDX-License-Identifier: Apache-2.0
"""The isolation fabric on a small FPGA: what is proven, without cores and loader."""

from typing import Any

from amaranth import Cat, Const, Module, Signal
from amaranth.lib import io, stream, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out, connect, flipped

from blindvisor.fpga.boards import Board
from blindvisor.fpga.clocking import add_clock
from blindvisor.fpga.fabric_tile import FabricTile
from blindvisor.fpga.fabric_warden import Warden
from blindvisor.fpga.machine_top import light_pin
from blindvisor.hdl.abi import Result
from blindvisor.hdl.cluster.routers import NETWORKS
from blindvisor.hdl.config import MachineConfig
from blindvisor.hdl.host.uart import UartTransmitter, uart_divisor
from blindvisor.hdl.iocluster.guard import ChannelGuard
from blindvisor.hdl.iocluster.monitor import Monitor
from blindvisor.hdl.iocluster.tty import TtyChannel
from blindvisor.hdl.ionet.root import IoRoot
from blindvisor.hdl.ionet.tree import IoTree

__all__ = ["Fabric", "FabricTop"]


class Fabric(wiring.Component):
    """A row of clusters with traffic masters, the I/O network, channel 0, monitor and warden.

    Parameters
    ----------
    config : :class:`MachineConfig`
        One row; one TTY channel.
    pause : :class:`int`
        Bits of the counter between two uses of the channel by its owner.

    Members
    -------
    attack : :py:`In(1)`
        One cycle: the VM of cluster 0 reads cluster 1.
    text : :py:`Out(stream.Signature(8))`
        As in :class:`Warden`.
    started, refused, noticed : :py:`Out(1)`
        As in :class:`Warden`.
    wrong : :py:`Out(1)`
        An attack was answered with data, or a VM's memory was changed.
    light : :py:`Out(1)`
        What the VM that owns channel 0 last wrote to it: it blinks through the I/O network.

    Notes
    -----
    Every VM uses the guest channel 0; the VM of cluster 0 alone was granted it, so the SMMUs of the
    others deny and count that too. Loads are answered with OK without an image: there is no loader,
    and P6 and P7 are not claimed of this design.
    """

    attack: Signal
    text: stream.Interface
    started: Signal
    refused: Signal
    noticed: Signal
    wrong: Signal
    light: Signal

    def __init__(self, config: MachineConfig, *, pause: int) -> None:
        self._config = config
        self._pause = pause
        super().__init__(
            {
                "attack": In(1),
                "text": Out(stream.Signature(8)),
                "started": Out(1),
                "refused": Out(1),
                "noticed": Out(1),
                "wrong": Out(1),
                "light": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """The machine's parts around masters and warden."""
        config = self._config
        m = Module()
        m.submodules.warden = warden = Warden(config)
        m.submodules.monitor = monitor = Monitor(config)
        m.submodules.guard = guard = ChannelGuard(config)
        m.submodules.root = root = IoRoot(config)
        m.submodules.tree = tree = IoTree(config)
        m.submodules.channel = channel = TtyChannel(config)
        connect(m, warden.calls, monitor.calls)
        connect(m, warden.text, flipped(self.text))
        connect(m, monitor.lane, root.lane)
        connect(m, root.service, guard.root)
        connect(m, guard.channels[0], channel.guest)
        load: Any = monitor.load
        m.d.sync += [load.busy.eq(load.start & ~load.done), load.done.eq(load.busy & ~load.done)]
        m.d.comb += [
            load.result.eq(Result.OK),
            monitor.saved_waiting.eq(0),
            guard.owner.eq(monitor.guard_owner),
            monitor.guard_cluster.eq(guard.lookup),
            guard.update.eq(monitor.update),
            monitor.rows.eq(guard.rows),
            monitor.denied.eq(guard.denied),
            tree.down.eq(root.down),
            root.up.eq(tree.up),
            channel.out.ready.eq(1),
        ]
        with m.If(channel.out.valid):
            m.d.sync += self.light.eq(channel.out.payload[0])
        for name in ("started", "refused", "noticed"):
            m.d.comb += getattr(self, name).eq(getattr(warden, name))

        tiles: list[Any] = [
            FabricTile(config, pattern=0x51 + x, pause=self._pause) for x in range(config.width)
        ]
        for x, tile in enumerate(tiles):
            m.submodules[f"tile_{x}"] = tile
            m.d.comb += [
                tile.position.eq(Cat(Const(x, 4), Const(0, 4))),
                tile.index.eq(x),
                tile.down.eq(tree.leaves_down[x]),
                tree.leaves_up[x].eq(tile.up),
                tile.attack.eq(self.attack if x == 0 else 0),
            ]
        m.d.comb += self.wrong.eq(Cat(tile.wrong for tile in tiles).any())
        self._mesh(m, tiles)
        return m

    def _mesh(self, m: Module, tiles: list[Any]) -> None:
        """Join neighbours; what leaves the row meets a wall."""
        for network in NETWORKS:
            for west, east in zip([None, *tiles], [*tiles, None], strict=True):
                for source, out, sink, inward in (
                    (west, "east", east, "west"),
                    (east, "west", west, "east"),
                ):
                    if source is not None and sink is not None:
                        connect(
                            m,
                            getattr(source, f"{network}_{out}_out"),
                            getattr(sink, f"{network}_{inward}_in"),
                        )
                    elif source is not None:
                        m.d.comb += getattr(source, f"{network}_{out}_out").ready.eq(1)
            for tile in tiles:
                for side in ("north", "south"):
                    m.d.comb += getattr(tile, f"{network}_{side}_out").ready.eq(1)


class FabricTop(wiring.Component):
    """The fabric on a board's pins.

    Parameters
    ----------
    board : :class:`Board`
        A board with the design ``fabric``.

    Notes
    -----
    LEDs, as many as there are: changes with every line of text; lit if isolation ever failed or a
    call was refused; blinks while the owner of channel 0 reaches it; all VMs run. A button makes
    the VM of cluster 0 attack; on a board without one it attacks about once a second.
    """

    def __init__(self, board: Board) -> None:
        self._board = board
        super().__init__({})

    def elaborate(self, platform: Any) -> Module:
        """Clock, fabric, pins."""
        board = self._board
        clock_hz = round(board.clock_mhz * 1e6)
        second = clock_hz.bit_length() - 1
        m = Module()
        add_clock(
            m,
            platform,
            family=board.family,
            oscillator_mhz=board.oscillator_mhz,
            clock_mhz=board.clock_mhz,
        )
        m.submodules.fabric = fabric = Fabric(board.machine, pause=second - 1)
        m.submodules.transmitter = transmitter = UartTransmitter(
            divisor=uart_divisor(clock_hz=clock_hz, baud=board.baud)
        )
        connect(m, fabric.text, transmitter.bytes)
        uart = platform.request("uart", 0, dir="-")
        m.submodules.tx_pin = tx = io.Buffer(io.Direction.Output, uart.tx)
        m.d.comb += tx.o.eq(transmitter.tx)

        # A press is seen once per 2^16 cycles, so that contacts may bounce.
        count = Signal(second)
        pressed, was_pressed = Signal(), Signal()
        m.d.sync += count.eq(count + 1)
        if ("button", 0) in platform.resources:
            m.submodules.button_pin = button = io.Buffer(
                io.Direction.Input, platform.request("button", 0, dir="-")
            )
            m.submodules.button = FFSynchronizer(button.i, pressed)
        else:
            m.d.comb += pressed.eq(count[-1])
        with m.If(count[:16].all()):
            m.d.sync += was_pressed.eq(pressed)
            m.d.comb += fabric.attack.eq(pressed & ~was_pressed)
        lights = (fabric.noticed, fabric.wrong | fabric.refused, fabric.light, fabric.started)
        for number, light in enumerate(lights):
            led = light_pin(platform, number)
            if led is not None:
                m.submodules[f"led{number}_pin"] = buffer = io.Buffer(io.Direction.Output, led)
                m.d.comb += buffer.o.eq(light)
        return m
