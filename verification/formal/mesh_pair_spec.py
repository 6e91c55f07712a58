# SPDX-License-Identifier: Apache-2.0
"""Non-interference in the whole mesh: the machine's wiring, with lemmas in place of its parts."""

from typing import Any

from amaranth import Cat, Fragment, Module, Signal, Value
from amaranth.hdl import Assert, Assume, Cover
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In

from blindvisor.hdl import machine as machine_module
from blindvisor.hdl.cluster import routers as routers_module
from blindvisor.hdl.cluster.routers import NETWORKS, add_routers
from blindvisor.hdl.config import MachineConfig
from blindvisor.hdl.iocluster.iocluster import IoCluster
from blindvisor.hdl.ionet.tree import IoTree
from blindvisor.hdl.machine import Machine
from blindvisor.hdl.noc.packets import FLIT
from blindvisor.hdl.noc.router import PORTS, Router
from blindvisor.hdl.smmu.smmu import Smmu
from blindvisor.verification.formal.contract import RECTANGLE, inside, keeps, way, within
from blindvisor.verification.formal.inner import replaced

__all__ = ["MeshPairSpec"]

END = data.StructLayout({"valid": 1, "payload": FLIT, "ready": 1})
"""What a part says at one of its ports: a flit that goes out, and whether one may come in."""

ROUTER = data.StructLayout(dict.fromkeys(PORTS, END))
CLUSTER = data.StructLayout({**dict.fromkeys(NETWORKS, END), "clear": 1})


class MeshPairSpec(wiring.Component):
    """Two machines, in which a VM's rectangle, any one, has the same done to it in both.

    The wiring is the shipped machine's and the shipped tile's. In place of each router is what
    ``router-pair-*`` and ``router-confined-*`` prove of it; what they do not say, the solver
    chooses. The same for clusters and their SMMUs. What those proofs assume is claimed here.

    Claims
    ------
    P12-MESH
        All that the mesh shows to the VM's clusters is the same in both, cycle by cycle: flits, and
        whether it takes one.
    P12-DOMAINS
        A packet that enters a router by a link of the VM leaves it by one, and no other does.
    LEMMA
        The contract has been kept on all links, and all that went to the VM's parts was the same.

    Assumed: the rectangle is constant; clusters put in what keeps the contract (P1-RECTANGLE of
    ``egress``; disjoint rectangles, P4), in requests and responses; one of the VM does the same in
    both for as long as what it is shown is the same. Routers and clusters answer from registers:
    what a router shows is not a function of what comes in in the same cycle
    (``tests/verification/test_combinational.py``).
    """

    rectangle: data.View

    def __init__(self, config: MachineConfig) -> None:
        self._config = config
        routers = data.ArrayLayout(ROUTER, len(NETWORKS) * config.clusters)
        clusters = data.ArrayLayout(CLUSTER, config.clusters)
        super().__init__(
            {
                "rectangle": In(RECTANGLE),
                **{f"routers_{copy}": In(routers) for copy in "ab"},
                **{f"clusters_{copy}": In(clusters) for copy in "ab"},
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Place both machines; then say what each part does, and look at what reaches it."""
        m = Module()
        self._constant(m)
        copies = [_Copy(m, self, name, self._config) for name in "ab"]
        one, other = copies
        for n, (a, b) in enumerate(zip(one.routers, other.routers, strict=True)):
            self._router(m, n, a, b)
            for copy, router in zip(copies, (a, b), strict=True):
                self._confined(m, f"router_{n}_{copy.name}", router)
        for n, (a, b) in enumerate(zip(one.clusters, other.clusters, strict=True)):
            at = one.routers[len(NETWORKS) * n]
            self._cluster(m, n, inside(self.rectangle, at.x, at.y), a, b)
        self._covers(m, one, other)
        return m

    def _constant(self, m: Module) -> None:
        started, was = Signal(), Signal(RECTANGLE)
        first, last = self.rectangle.first, self.rectangle.last
        m.d.sync += [started.eq(1), was.eq(self.rectangle)]
        same = self.rectangle.as_value() == was.as_value()
        m.d.comb += [
            Assume(~started | same, "the rectangle is constant"),
            Assume((first.x <= last.x) & (first.y <= last.y), "a rectangle"),
        ]

    def _router(self, m: Module, n: int, a: Router, b: Router) -> None:
        """What goes to the VM's ports was the same so far: so is what the router shows there."""
        same = Signal(init=1, name=f"router_{n}_same")
        comes, shows = [], []
        for port in PORTS:
            others = ~within(self.rectangle, a.x, a.y, port)
            ins, outs = ([getattr(r, f"{port}_{way}") for r in (a, b)] for way in ("in", "out"))
            shows.append(others | (_flits(*outs) & (ins[0].ready == ins[1].ready)))
            comes.append(others | (_flits(*ins) & (outs[0].ready == outs[1].ready)))
        comes.append(~inside(self.rectangle, a.x, a.y) | (a.clear == b.clear))
        m.d.sync += same.eq(same & Cat(comes).all())
        m.d.comb += [
            Assume(~same | Cat(shows).all(), f"router {n}: P12-BLIND"),
            Assert(same, "LEMMA"),
        ]

    def _confined(self, m: Module, name: str, router: Router) -> None:
        """The contract was kept by what came in: so it is by what goes out."""
        kept = Signal(init=1, name=f"{name}_kept")
        here, place = self.rectangle, (router.x, router.y)
        ours = {port: within(here, *place, port) for port in PORTS}
        comes, shows = [], []
        for port in PORTS:
            for entry, link in ((True, f"{port}_in"), (False, f"{port}_out")):
                flit = getattr(router, link)
                begins = Signal(init=1, name=f"{name}_{link}_begins")
                with m.If(flit.valid & flit.ready):
                    m.d.sync += begins.eq(flit.payload.last)
                head = flit.valid & begins
                keeping = ~head | keeps(here, *place, port, flit.payload.data, out=not entry)
                if entry:
                    comes.append(keeping)
                    leaves = way(*place, flit.payload.data, ours)
                    m.d.comb += Assert(~head | (leaves == ours[port]), "P12-DOMAINS")
                else:
                    apart = inside(here, *place) & ~ours[port]
                    shows.append(keeping & ~(apart & flit.valid))
        m.d.sync += kept.eq(kept & Cat(comes).all())
        m.d.comb += [
            Assume(~kept | Cat(shows).all(), f"{name}: P12-CONTRACT, P12-APART"),
            Assert(kept, "LEMMA"),
        ]

    def _cluster(self, m: Module, n: int, ours: Value, a: Smmu, b: Smmu) -> None:
        """One of the VM does the same for as long as the mesh does."""
        same = Signal(init=1, name=f"cluster_{n}_same")
        shown, says = [], [a.zero == b.zero]
        for network in NETWORKS:
            arrives, leaves = (
                [getattr(smmu, f"mesh_{network}_{way}") for smmu in (a, b)] for way in ("in", "out")
            )
            shown.append(_flits(*arrives) & (leaves[0].ready == leaves[1].ready))
            says.append(_flits(*leaves) & (arrives[0].ready == arrives[1].ready))
        shown_same = Cat(shown).all()
        m.d.sync += same.eq(same & shown_same)
        m.d.comb += [
            Assume(~(ours & same & shown_same) | Cat(says).all(), f"cluster {n} is the VM's"),
            Assert(~ours | shown_same, "P12-MESH"),
            Assert(~ours | same, "LEMMA"),
        ]

    def _covers(self, m: Module, one: "_Copy", other: "_Copy") -> None:
        """Cover packets of the VM beside others, which differ."""
        a, b = one.routers[0], other.routers[0]
        ours = inside(self.rectangle, a.x, a.y)
        last = one.routers[-1], other.routers[-1]
        others_differ = last[0].local_out.valid & ~last[1].local_out.valid
        moves = within(self.rectangle, a.x, a.y, "east") & a.east_out.valid & a.east_out.ready
        m.d.comb += [
            Cover(moves & others_differ, "the VM's packets move while others' differ"),
            Cover(ours & a.local_out.valid & others_differ, "the VM's packets arrive meanwhile"),
            Cover(~ours & (a.local_out.valid != b.local_out.valid), "others arrive in one alone"),
        ]


class _Copy:
    """A machine whose routers and clusters say what the solver chooses."""

    def __init__(self, m: Module, spec: Any, name: str, config: MachineConfig) -> None:
        self.name = name
        self.routers: list[Router] = []  # of each cluster the request router, then the response's
        self.clusters: list[Smmu] = []

        def router(**parameters: Any) -> Router:
            self.routers.append(made := _Router(**parameters))
            return made

        def tile(ports: Any) -> Module:
            """Return what is between a tile's links and its cluster."""
            inner = Module()
            inner.submodules.smmu = smmu = _Smmu(config)
            self.clusters.append(smmu)
            add_routers(inner, ports, smmu, fifo_depth=config.fifo_depth)
            return inner

        with replaced(
            (routers_module, "Router", router),
            (machine_module, "_instance", tile),
            (machine_module, "IoCluster", _IoCluster),
            (machine_module, "IoTree", _IoTree),
        ):
            m.submodules[f"machine_{name}"] = Fragment.get(Machine(config), None)

        for part, said in zip(self.routers, getattr(spec, f"routers_{name}"), strict=True):
            for port in PORTS:
                _say(m, said[port], getattr(part, f"{port}_out"), getattr(part, f"{port}_in"))
        for smmu, said in zip(self.clusters, getattr(spec, f"clusters_{name}"), strict=True):
            m.d.comb += smmu.zero.eq(said.clear)
            for network in NETWORKS:
                leaves, arrives = (getattr(smmu, f"mesh_{network}_{way}") for way in ("out", "in"))
                _say(m, said[network], leaves, arrives)
                self._keeps(m, spec, smmu, network, leaves)

    def _keeps(self, m: Module, spec: Any, smmu: Smmu, network: str, leaves: Any) -> None:
        """Assume the contract of what a cluster puts into a network."""
        number = len(NETWORKS) * self.clusters.index(smmu) + NETWORKS.index(network)
        router = self.routers[number]
        begins = Signal(init=1, name=f"cluster_{number}_{self.name}_begins")
        with m.If(leaves.valid & leaves.ready):
            m.d.sync += begins.eq(leaves.payload.last)
        kept = keeps(spec.rectangle, router.x, router.y, "local", leaves.payload.data, out=False)
        m.d.comb += Assume(~(leaves.valid & begins) | kept, f"cluster {number} {self.name}")


class _Router(Router):
    def elaborate(self, platform: object) -> Module:
        """Leave what it does to the solver."""
        return Module()


class _Smmu(Smmu):
    def elaborate(self, platform: object) -> Module:
        """Leave what it does to the solver, and the cluster behind it."""
        return Module()


class _IoCluster(IoCluster):
    def elaborate(self, platform: object) -> Module:
        """Be silent."""
        return Module()


class _IoTree(IoTree):
    def elaborate(self, platform: object) -> Module:
        """Be silent."""
        return Module()


def _say(m: Module, said: Any, leaves: stream.Interface, arrives: stream.Interface) -> None:
    m.d.comb += [
        leaves.valid.eq(said.valid),
        leaves.payload.eq(said.payload),
        arrives.ready.eq(said.ready),
    ]


def _flits(one: stream.Interface, other: stream.Interface) -> Value:
    """Whether two ports show the same."""
    payload = one.payload.as_value() == other.payload.as_value()
    return (one.valid == other.valid) & (~one.valid | payload)
