# SPDX-License-Identifier: Apache-2.0
"""Clock and power-on reset of a board's design, per family."""

from typing import Any

from amaranth import ClockDomain, ClockSignal, Const, Instance, Module, Signal
from amaranth.lib import io
from amaranth.lib.cdc import ResetSynchronizer

__all__ = ["PllError", "add_clock", "ecp5_pll"]

_VCO_MHZ = (400.0, 800.0)
_COMPARED_MHZ = (3.125, 400.0)


class PllError(ValueError):
    """A frequency that the PLL cannot make."""


def ecp5_pll(oscillator_mhz: float, clock_mhz: float) -> dict[str, int]:
    """Return the dividers of an EHXPLLL: ``CLKI_DIV``, ``CLKFB_DIV``, ``CLKOP_DIV``.

    The feedback is the output itself: ``clock = oscillator * CLKFB_DIV / CLKI_DIV``.

    Raises
    ------
    :exc:`PllError`
        If no dividers make the clock to within 0.1 %.

    Notes
    -----
    Source: Lattice FPGA-TN-02200 (ECP5 sysCLOCK PLL), operating ranges of the family data sheet.
    """
    for reference in range(1, 17):
        if not _COMPARED_MHZ[0] <= oscillator_mhz / reference <= _COMPARED_MHZ[1]:
            continue
        feedback = round(clock_mhz * reference / oscillator_mhz)
        made = oscillator_mhz * feedback / reference
        if not 1 <= feedback <= 80 or abs(made - clock_mhz) > clock_mhz / 1000:
            continue
        for output in range(1, 129):
            if _VCO_MHZ[0] <= made * output <= _VCO_MHZ[1]:
                return {"CLKI_DIV": reference, "CLKFB_DIV": feedback, "CLKOP_DIV": output}
    raise PllError(f"no PLL setting makes {clock_mhz} MHz of {oscillator_mhz} MHz")


def add_clock(
    m: Module, platform: Any, *, family: str, oscillator_mhz: float, clock_mhz: float
) -> None:
    """Make the domain ``sync``: at ``clock_mhz``, in reset until the clock is stable.

    Parameters
    ----------
    m : :class:`Module`
        The board's top.
    platform : platform
        Its default clock, and default reset if it has one, are used.
    family : :class:`str`
        ``ecp5``: a PLL, in reset until it has locked; ``ice40``: the oscillator and a counter,
        without which block RAM reads zero for some microseconds; ``gowin``: the oscillator.
    oscillator_mhz, clock_mhz : :class:`float`
        Of the board, and wanted. Equal on families without a PLL here.

    Raises
    ------
    :exc:`PllError`
        If ``clock_mhz`` cannot be made.

    Notes
    -----
    The machine has no other reset: every cluster scrubs itself behind it (P5).
    """
    if family != "ecp5":
        if oscillator_mhz != clock_mhz:
            raise PllError(f"clock_mhz must be the oscillator's {oscillator_mhz} on {family}")
        return  # the platform's own domain: made when nobody else made one
    m.submodules.clock_pin = pin = io.Buffer(
        io.Direction.Input, platform.request(platform.default_clk, dir="-")
    )
    reset: Any = Const(0)
    if platform.default_rst is not None:
        m.submodules.reset_pin = button = io.Buffer(
            io.Direction.Input, platform.request(platform.default_rst, dir="-")
        )
        reset = button.i
    clock = Signal()
    locked = Signal()
    m.submodules.pll = Instance(
        "EHXPLLL",
        *(("a", name, value) for name, value in (("ICP_CURRENT", "12"), ("LPF_RESISTOR", "8"))),
        *(("p", name, value) for name, value in ecp5_pll(oscillator_mhz, clock_mhz).items()),
        p_FEEDBK_PATH="CLKOP",
        p_CLKOP_ENABLE="ENABLED",
        p_CLKOP_CPHASE=ecp5_pll(oscillator_mhz, clock_mhz)["CLKOP_DIV"] - 1,
        p_CLKOP_FPHASE=0,
        i_CLKI=pin.i,
        i_CLKFB=clock,
        i_RST=0,
        i_STDBY=0,
        i_PHASESEL0=0,
        i_PHASESEL1=0,
        i_PHASEDIR=0,
        i_PHASESTEP=0,
        i_PHASELOADREG=0,
        i_PLLWAKESYNC=0,
        i_ENCLKOP=0,
        o_CLKOP=clock,
        o_LOCK=locked,
    )
    m.domains.sync = ClockDomain()
    m.d.comb += ClockSignal().eq(clock)
    m.submodules.reset = ResetSynchronizer(~locked | reset, domain="sync")
