# SPDX-License-Identifier: Apache-2.0
"""One network of routers, for benches and proofs. In the machine each tile holds its own."""

from amaranth import ClockSignal, Instance, Module, ResetSignal, Value
from amaranth.back import verilog
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from blindvisor.hdl.noc.packets import FLIT
from blindvisor.hdl.noc.router import Router

__all__ = ["Mesh", "mesh_verilog"]


class Mesh(wiring.Component):
    """Rows and columns of routers with open local ports.

    Parameters
    ----------
    width, height : :class:`int`
        Routers per row and per column, 1 to 16.
    fifo_depth : :class:`int`
        Flits that each router input holds, 2 to 16.
    router : :class:`str`
        Name of a Verilog module to instantiate as the router. Without it, routers are elaborated:
        a copy of the netlist for each.

    Members
    -------
    local_in : :py:`In(stream.Signature(FLIT)).array(width * height)`
        Into the mesh at router (x, y): index ``y * width + x``.
    local_out : :py:`Out(stream.Signature(FLIT)).array(width * height)`
        Out of the mesh.
    dropped : :py:`Out(width * height)`
        Strobes of the routers.

    Raises
    ------
    :exc:`TypeError`
        If a size is not an integer.
    :exc:`ValueError`
        If a size is out of range.

    Notes
    -----
    Nothing ever comes in over the edge. What leaves over it (a destination outside the mesh) is
    lost, and holds up nothing (P8).
    """

    local_in: list[stream.Interface]
    local_out: list[stream.Interface]
    dropped: Value

    def __init__(
        self, *, width: int, height: int, fifo_depth: int, router: str | None = None
    ) -> None:
        for name, value, low in (
            ("Mesh width", width, 1),
            ("Mesh height", height, 1),
            ("FIFO depth", fifo_depth, 2),
        ):
            if type(value) is not int:
                raise TypeError(f"{name} must be an integer, not {value!r}")
            if not low <= value <= 16:
                raise ValueError(f"{name} must be from {low} to 16, not {value}")
        self.width = width
        self.height = height
        self.fifo_depth = fifo_depth
        self.router = router
        count = width * height
        super().__init__(
            {
                "local_in": In(stream.Signature(FLIT)).array(count),
                "local_out": Out(stream.Signature(FLIT)).array(count),
                "dropped": Out(count),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Join each router to its eastern and southern neighbour, and close the edges."""
        m = Module()
        routers = {}
        for y in range(self.height):
            for x in range(self.width):
                if self.router is None:
                    router = Router(fifo_depth=self.fifo_depth)
                else:
                    router = _RouterInstance(fifo_depth=self.fifo_depth, module=self.router)
                routers[x, y] = router
                m.submodules[f"router_{x}_{y}"] = router

        def pass_on(sender: stream.Interface, receiver: stream.Interface) -> None:
            m.d.comb += [
                receiver.valid.eq(sender.valid),
                receiver.payload.eq(sender.payload),
                sender.ready.eq(receiver.ready),
            ]

        for (x, y), router in routers.items():
            index = y * self.width + x
            m.d.comb += [router.x.eq(x), router.y.eq(y), self.dropped[index].eq(router.dropped)]
            pass_on(self.local_in[index], router.local_in)
            pass_on(router.local_out, self.local_out[index])
            for output, step, entry in (
                ("north", (0, -1), "south"),
                ("east", (1, 0), "west"),
                ("south", (0, 1), "north"),
                ("west", (-1, 0), "east"),
            ):
                sender = getattr(router, f"{output}_out")
                neighbour = routers.get((x + step[0], y + step[1]))
                if neighbour is None:
                    m.d.comb += sender.ready.eq(1)
                else:
                    pass_on(sender, getattr(neighbour, f"{entry}_in"))
        return m


class _RouterInstance(Router):
    """A router whose netlist is elsewhere."""

    def __init__(self, *, fifo_depth: int, module: str) -> None:
        self.module = module
        super().__init__(fifo_depth=fifo_depth)

    def elaborate(self, platform: object) -> Module:
        """Connect every port by its name."""
        m = Module()
        ports = {"i_clk": ClockSignal(), "i_rst": ResetSignal()}
        for path, member, value in self.signature.flatten(self):
            direction = "i" if member.flow is In else "o"
            ports[f"{direction}_{'__'.join(map(str, path))}"] = Value.cast(value)
        m.submodules.router = Instance(self.module, **ports)
        return m


def mesh_verilog(
    *, width: int, height: int, fifo_depth: int, name: str = "top", router: str = "router"
) -> str:
    """Return Verilog of a mesh in which the router occurs once.

    Parameters
    ----------
    width, height, fifo_depth : :class:`int`
        As for :class:`Mesh`.
    name, router : :class:`str`
        Module names.
    """
    mesh = Mesh(width=width, height=height, fifo_depth=fifo_depth, router=router)
    return "\n".join(
        verilog.convert(component, name=module, strip_internal_attrs=True)
        for component, module in ((Router(fifo_depth=fifo_depth), router), (mesh, name))
    )
