# SPDX-License-Identifier: Apache-2.0
"""How fast machines are generated, built and simulated: what ``blindvisor bench sim`` prints."""

import ctypes
import platform
import secrets
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from blindvisor.hdl.config import MachineConfig
from blindvisor.sim.compiled import CACHE, simulator_name
from blindvisor.sim.events import emit
from blindvisor.sim.session import compile_machine, run_scenario
from blindvisor.sw.hypervisor.hypervisor import Hypervisor
from blindvisor.sw.image.elf import read_guest
from blindvisor.sw.image.pack import pack

__all__ = ["MESHES", "bench_build", "bench_generation", "bench_run", "host", "measure"]

MESHES = ((2, 2), (4, 4), (8, 8), (16, 16))
"""Meshes whose generation is compared: it must grow with the tile, not with their number."""

WINDOWS = 4
WINDOW_CYCLES = 10_000
"""Cocotb and the bare loop run in turn, so that both see the same guests and the same host."""

_GUESTS = Path(__file__).parents[1] / "sw" / "guests" / "bin"
_RUNNING = ("bench", "matmul")  # computation; and computation with traffic between clusters

Step = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and of how much."""


def host() -> dict[str, Any]:
    """Return what the figures depend on."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        models = [
            line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")
        ]
        if models:
            name = models[0].partition(":")[2].strip()
    return {"cpu": name, "python": platform.python_version(), "simulator": simulator_name()}


def bench_generation(step: Step = lambda what, done, total: None) -> list[dict[str, Any]]:
    """Generate machines of growing meshes; return seconds and size for each."""
    from blindvisor.hdl.generate import generate

    figures = []
    for done, (width, height) in enumerate(MESHES):
        step("generation", done, len(MESHES))
        config = MachineConfig(name=f"{width}x{height}", width=width, height=height)
        began = time.perf_counter()
        verilog = generate(config)
        seconds = time.perf_counter() - began
        figures.append({"mesh": config.name, "seconds": seconds, "bytes": len(verilog)})
    step("generation", len(MESHES), len(MESHES))
    return figures


def bench_build(verilog: str, *, cold: bool) -> dict[str, Any]:
    """Build a machine's simulator; return seconds: from nothing (if ``cold``), from the cache."""
    figures: dict[str, Any] = {"cold_seconds": None}
    if cold:
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="cold-", dir=CACHE) as folder:
            began = time.perf_counter()
            model = compile_machine(verilog, cache=Path(folder))
            figures["cold_seconds"] = time.perf_counter() - began
            if not (CACHE / model.folder.name).exists():
                model.folder.rename(CACHE / model.folder.name)
    compile_machine(verilog)
    began = time.perf_counter()
    compile_machine(verilog)
    return figures | {"cached_seconds": time.perf_counter() - began}


def bench_run(
    verilog: str, config: MachineConfig, step: Step = lambda what, done, total: None
) -> dict[str, Any]:
    """Run two guests, each on half of the mesh; return cycles per second and the ratio.

    Raises
    ------
    :exc:`ValueError`
        If the mesh has fewer than two rows.
    """
    if config.height < 2:
        raise ValueError(f"{config.name} must have two rows for two guests, not {config.height}")
    root_key = secrets.token_bytes(32)
    with tempfile.TemporaryDirectory(prefix="blindvisor-") as folder:
        images = []
        width, height = config.width, config.height // 2
        for name in _RUNNING:
            guest = _GUESTS / f"{name}.elf"
            memories = read_guest(
                guest, width=width, height=height, memory_bytes=config.memory_bytes
            )
            image = Path(folder) / f"{name}.bvi"
            image.write_bytes(pack(memories, width=width, height=height, root_key=root_key))
            images.append(str(image))
        return run_scenario(
            verilog,
            f"{__name__}:measure",
            {"images": images, "width": width, "height": height},
            config=config,
            root_key=root_key,
            build_dir=Path(folder),
            on_event=lambda event: step("run", event["done"], event["total"]),
        )


def measure(hypervisor: Hypervisor, params: dict[str, Any]) -> dict[str, Any]:
    """Scenario: two guests computing, timed under cocotb and under the bare loop in turn.

    Times are wall-clock seconds and, for the ratio, seconds of the process: other work on the host
    then changes neither.
    """
    link: Any = hypervisor.link
    for channel, name in enumerate(params["images"]):
        vm = hypervisor.create(width=params["width"], height=params["height"])
        vm.grant(channel, 0)
        vm.load(Path(name).read_bytes())
    for vm in range(1, 3):
        hypervisor.vm_start(vm)
    link.advance(WINDOW_CYCLES)  # past the guests' start
    bare_loop = _bare_loop()
    runs = {"cocotb": link.advance, "bare": bare_loop}
    times = {name: [0.0, 0.0] for name in runs}
    for window in range(WINDOWS):
        emit("window", done=window, total=WINDOWS)
        for name, run in runs.items():
            began = time.perf_counter(), time.process_time()
            run(WINDOW_CYCLES)
            times[name][0] += time.perf_counter() - began[0]
            times[name][1] += time.process_time() - began[1]
    printed = [link.tty_read(channel).decode() for channel in range(2)]
    if any("[exit" in text for text in printed):
        raise RuntimeError(f"a guest ended before the measurement did: {printed}")
    cycles = WINDOWS * WINDOW_CYCLES
    figures: dict[str, Any] = {"cycles": cycles}
    for name, (wall, process) in times.items():
        figures[f"{name}_cycles_per_second"] = cycles / wall
        figures[f"{name}_cycles_per_cpu_second"] = cycles / process
    figures["ratio"] = times["bare"][1] / times["cocotb"][1]
    return figures


def _bare_loop() -> Callable[[int], float]:
    """The function of ``main.cpp`` in the running simulator."""
    function = ctypes.CDLL(None).blindvisor_bare_loop
    function.argtypes = [ctypes.c_uint64]
    function.restype = ctypes.c_double
    return function
