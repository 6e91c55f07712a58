# SPDX-License-Identifier: Apache-2.0
"""VexRiscv behind the adapter of core.py: smaller than Minerva, and without bus errors."""

import hashlib
import re
from importlib.resources import files
from typing import Any

from amaranth import ClockSignal, Const, Instance, Module, Mux, ResetSignal, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from blindvisor.hdl.abi import OWN_CLUSTER, REGISTER_OFFSET, GuestRegister
from blindvisor.hdl.cluster.bus import LocalBus

__all__ = ["VEXRISCV_MODULE", "VexRiscvCore", "vexriscv_verilog"]

VEXRISCV_MODULE = "vexriscv_min"
_ACKNOWLEDGE = (OWN_CLUSTER << 24 | REGISTER_OFFSET | GuestRegister.FAULT_ADDRESS.value) >> 2

_KNOWN = "a2f6dbdab57278866f6b371b5b7d8b74bc813444757ef06195e8559f0d02e279"
"""SHA-256 of the text that the changes below were made for and reviewed with."""

_BLOCK = re.compile(r"  always @\(posedge clk\) begin\n(.*?)\n  end\n", re.DOTALL)
_REGISTERS = "RegFilePlugin_regFile"


class VexRiscvCore(wiring.Component):
    """A VexRiscv RV32I core (LiteX's variant "Min"), held in reset or running.

    It ignores bus errors, so a refused access becomes what a core without precise faults can take:

    * a load gets zero, a store is lost, and then an external interrupt is raised, until the guest
      writes FAULT_ADDRESS of its own cluster (by its ``0xFF`` coordinates) or is reset;
    * a fetch gets zero, which is an illegal instruction: a precise trap if it is executed.

    CSR ``0xFC0`` tells the external interrupts apart: bit 0 is ``external``, bit 1 the fault.

    Members
    -------
    As :class:`~blindvisor.hdl.cluster.core.MinervaCore`.

    Notes
    -----
    All flip-flops return to a constant in reset (P5; :func:`vexriscv_verilog`). General registers
    are in block RAM, whose reading ports are always on: behind a scrub they show zero. No store is
    started twice: VexRiscv takes interrupts when its pipeline is empty.
    """

    reset: Signal
    clear: Signal
    clear_index: Signal
    fetch: Any
    data: Any
    timer: Signal
    software: Signal
    external: Signal

    def __init__(self, *, reset_address: int) -> None:
        self._reset_address = reset_address
        super().__init__(
            {
                "reset": In(1),
                "clear": In(1),
                "clear_index": In(5),
                "fetch": Out(LocalBus(address_width=30)),
                "data": Out(LocalBus(address_width=30)),
                "timer": In(1),
                "software": In(1),
                "external": In(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """The instance, its two buses, and the fault interrupt."""
        m = Module()
        fault = Signal()
        lines = Signal(32)
        buses = {"iBusWishbone": self.fetch, "dBusWishbone": self.data}
        ports: dict[str, Any] = {}
        for theirs, ours in buses.items():
            # In reset the request's flip-flop falls one cycle late.
            asks = Signal(name=f"{theirs}_asks")
            m.d.comb += ours.stb.eq(asks & ~self.reset)
            ports |= {
                f"o_{theirs}_STB": asks,
                f"o_{theirs}_WE": ours.we,
                f"o_{theirs}_ADR": ours.adr,
                f"o_{theirs}_SEL": ours.sel,
                f"o_{theirs}_DAT_MOSI": ours.dat_w,
                f"i_{theirs}_DAT_MISO": Mux(ours.err, 0, ours.dat_r),
                f"i_{theirs}_ACK": ours.ack | ours.err,
                f"i_{theirs}_ERR": Const(0, 1),
            }
        del ports["o_iBusWishbone_WE"], ports["o_iBusWishbone_DAT_MOSI"]
        del ports["o_iBusWishbone_SEL"]
        m.d.comb += [self.fetch.sel.eq(0b1111), lines.eq(self.external | fault << 1)]
        m.submodules.vexriscv = Instance(
            VEXRISCV_MODULE,
            i_clk=ClockSignal(),
            i_reset=self.reset | ResetSignal(),
            i_registerClear=self.clear & self.reset,
            i_registerClearIndex=self.clear_index,
            i_externalResetVector=Const(self._reset_address, 32),
            i_timerInterrupt=self.timer,
            i_softwareInterrupt=self.software,
            i_externalInterruptArray=lines,
            **ports,
        )
        data = self.data
        with m.If(self.reset):
            m.d.sync += fault.eq(0)
        with m.Elif(data.stb & data.err):
            m.d.sync += fault.eq(1)
        with m.Elif(data.stb & data.ack & data.we & (data.adr == _ACKNOWLEDGE)):
            m.d.sync += fault.eq(0)
        return m


def vexriscv_verilog() -> str:
    """Return the Verilog of the module :data:`VEXRISCV_MODULE`.

    The text is that of the package ``pythondata-cpu-vexriscv`` (MIT licence), with:

    * a reset of every flip-flop, of which its authors left out those that hold mere data: the next
      VM could read ``mepc``, ``mtval`` or ``mtvec`` of the last (P5);
    * a port that zeroes a general register;
    * the mask of external interrupts open after reset, so that ``mie`` alone decides.

    Raises
    ------
    :exc:`RuntimeError`
        If pythondata-cpu-vexriscv is not installed, or its text is not the one that is known.
    """
    try:
        folder = files("pythondata_cpu_vexriscv")
    except ModuleNotFoundError as error:
        raise RuntimeError(
            "the core vexriscv needs a package: pip install pythondata-cpu-vexriscv"
        ) from error
    text = (folder / "verilog" / "VexRiscv_Min.v").read_text()
    found = hashlib.sha256(text.encode()).hexdigest()
    if found != _KNOWN:
        raise RuntimeError(
            f"VexRiscv_Min.v must be the text with SHA-256 {_KNOWN}, in which every flip-flop is"
            f" known to be reset, not {found}"
        )
    text = re.sub(r"(?m)^module VexRiscv \(", f"module {VEXRISCV_MODULE} (", text)
    text = text.replace("StreamFifoLowLatency", f"{VEXRISCV_MODULE}_fifo")
    port = "  input      [31:0]   externalResetVector,\n"
    clearing = "  input               registerClear,\n  input      [4:0]    registerClearIndex,\n"
    for old, new in (
        (port, port + clearing),
        (
            (
                "    if(_zz_1) begin\n"
                f"      {_REGISTERS}[lastStageRegFileWrite_payload_address] <="
                " lastStageRegFileWrite_payload_data;\n"
            ),
            (
                "    if(_zz_1 || registerClear) begin\n"
                f"      {_REGISTERS}[registerClear ? registerClearIndex :"
                " lastStageRegFileWrite_payload_address] <="
                " registerClear ? 32'h0 : lastStageRegFileWrite_payload_data;\n"
            ),
        ),
        (
            "      _zz_CsrPlugin_csrMapping_readDataInit <= 32'h0;\n",
            "      _zz_CsrPlugin_csrMapping_readDataInit <= 32'hffffffff;\n",
        ),
    ):
        text = text.replace(old, new)
    text = _BLOCK.sub(_with_reset, text)
    # SpinalHDL's files rely on the default net type, which generate() switches off.
    return f"`default_nettype wire\n{text}`default_nettype none\n"


def _with_reset(block: re.Match[str]) -> str:
    """Reset what a clocked block assigns, if the block has no reset and is no memory port."""
    body = block[1]
    if body.startswith("    if(reset) begin\n") or _REGISTERS in body:
        return block[0]
    assigned = dict.fromkeys(re.findall(r"(?m)^\s+(\w+) <= ", body))
    resets = "".join(f"      {name} <= 0;\n" for name in assigned)
    indented = re.sub(r"(?m)^", "  ", body)
    return (
        "  always @(posedge clk) begin\n    if(reset) begin\n"
        f"{resets}    end else begin\n{indented}\n    end\n  end\n"
    )
