# SPDX-License-Identifier: Apache-2.0
"""A machine as a board needs it: clock, reset, two wires."""

from typing import Any

from amaranth import ClockSignal, Const, Instance, Module, ResetInserter, Signal, Value
from amaranth.back import verilog
from amaranth.lib import stream, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out, connect

from blindvisor.hdl.config import MachineConfig
from blindvisor.hdl.generate import TOP_MODULE, generate
from blindvisor.hdl.host.bridge import HostBridge
from blindvisor.hdl.host.store import VolatileStore
from blindvisor.hdl.iocluster.bus import HypervisorBus
from blindvisor.hdl.iocluster.tty_mux import TTY_BYTE
from blindvisor.hdl.loader.store import StorePort

__all__ = [
    "BOARD_MODULE",
    "RESET_CYCLES",
    "BoardMachine",
    "board_top",
    "generate_board",
    "machine_signature",
]

BOARD_MODULE = "blindvisor_board"

RESET_CYCLES = 256
"""Cycles of reset after configuration, and after ``reset``: clocks and lines have settled."""


def machine_signature(config: MachineConfig) -> wiring.Signature:
    """Return the ports of :class:`~blindvisor.hdl.machine.Machine`, without a machine."""
    return wiring.Signature(
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


class BoardMachine(wiring.Component):
    """Machine, host link, power-on reset, and what stands in for key store and store.

    The machine is instantiated by name, as :func:`~blindvisor.hdl.generate.generate` writes it:
    its Verilog must be added to the design.

    Parameters
    ----------
    config : :class:`MachineConfig`
        The machine.
    root_key : :class:`bytes`
        32 bytes, a constant of the bitstream: whoever can read that knows them.
    clock_hz : :class:`int`
        Of the domain ``sync``.
    baud : :class:`int`
        Of the line; see :func:`~blindvisor.hdl.host.uart.uart_divisor`.

    Members
    -------
    rx, tx : :py:`In(1)`, :py:`Out(1)`
        The UART's pins, at this device: ``rx`` is asynchronous, and must be high if nothing is
        connected (pull-up).
    reset : :py:`In(1)`
        A button, asynchronous, 1 while pressed: the machine starts anew, every cluster scrubbed.
        Constant 0 if there is none.
    running : :py:`Out(1)`
        The reset is over.
    open : :py:`Out(1)`
        A host has said HELLO since.
    interrupt : :py:`Out(1)`
        A monitor call has ended and the hypervisor has not yet taken note.

    Notes
    -----
    A board has no memory that outlives its power: there is no epoch, so the machine saves no VM
    (NO_NONCE), and versions are remembered from one reset to the next.
    """

    rx: Signal
    tx: Signal
    reset: Signal
    running: Signal
    open: Signal
    interrupt: Signal

    def __init__(self, config: MachineConfig, *, root_key: bytes, clock_hz: int, baud: int) -> None:
        if len(root_key) != 32:
            raise ValueError(f"a root key must have 32 bytes, not {len(root_key)}")
        self.config = config
        self.clock_hz = clock_hz
        self._root_key = root_key
        self._bridge = HostBridge(config, clock_hz=clock_hz, baud=baud)
        super().__init__(
            {
                "rx": In(1),
                "tx": Out(1),
                "reset": In(1),
                "running": Out(1),
                "open": Out(1),
                "interrupt": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Join them; count the cycles of reset."""
        m = Module()
        button = Signal()
        m.submodules.button = FFSynchronizer(self.reset, button)
        held = Signal(range(RESET_CYCLES))  # 0 after configuration
        hold = Signal(init=1)  # a register: the reset of everything must have no glitches
        with m.If(button):
            m.d.sync += held.eq(0)
        with m.Elif(held != RESET_CYCLES - 1):
            m.d.sync += held.eq(held + 1)
        m.d.sync += hold.eq((held != RESET_CYCLES - 1) | button)

        bridge = self._bridge
        store = VolatileStore(self.config)
        m.submodules.bridge = ResetInserter(hold)(bridge)
        m.submodules.store = ResetInserter(hold)(store)
        machine: Any = machine_signature(self.config).create(path=("machine",))
        m.submodules.machine = _instance(machine, hold)
        connect(m, bridge.hypervisor, machine.hypervisor)
        connect(m, machine.store, store.port)
        connect(m, machine.tty_out, bridge.tty_out)
        connect(m, bridge.tty_in, machine.tty_in)
        m.d.comb += [
            machine.root_key.eq(Const(int.from_bytes(self._root_key, "little"), 256)),
            machine.epoch.eq(0),
            machine.epoch_valid.eq(0),
            bridge.interrupt.eq(machine.interrupt),
            bridge.rx.eq(self.rx),
            self.tx.eq(bridge.tx),
            self.running.eq(~hold),
            self.open.eq(bridge.open),
            self.interrupt.eq(machine.interrupt),
        ]
        return m


def _instance(machine: Any, reset: Value) -> Instance:
    """Instance whose ports are the members of ``machine``."""
    ports: list[tuple[str, str, Any]] = [("i", "clk", ClockSignal()), ("i", "rst", reset)]
    for path, member, value in machine.signature.flatten(machine):
        flow = "i" if member.flow == wiring.In else "o"
        ports.append((flow, "__".join(map(str, path)), Value.cast(value)))
    return Instance(TOP_MODULE, *ports)


def board_top(config: MachineConfig, *, root_key: bytes, clock_hz: int, baud: int) -> str:
    """Return the Verilog of :class:`BoardMachine`, module :data:`BOARD_MODULE`, without machine."""
    board = BoardMachine(config, root_key=root_key, clock_hz=clock_hz, baud=baud)
    return verilog.convert(board, name=BOARD_MODULE, emit_src=False, strip_internal_attrs=True)


def generate_board(config: MachineConfig, *, root_key: bytes, clock_hz: int, baud: int) -> str:
    """Return the Verilog of a board, whole; its machine is what ``generate`` returns, unchanged."""
    return generate(config) + board_top(config, root_key=root_key, clock_hz=clock_hz, baud=baud)
