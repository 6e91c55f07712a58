# SPDX-License-Identifier: Apache-2.0
"""Inside the simulator: the one cocotb test that runs a scenario."""

import json
import os
import traceback
from pathlib import Path
from typing import Any

import cocotb
from cocotb.task import bridge

from blindvisor.hdl.config import MachineConfig
from blindvisor.sim.events import deliver_to, emit
from blindvisor.sim.runner import EVENTS_VARIABLE
from blindvisor.sim.session import JOB_VARIABLE, find_scenario, power_on
from blindvisor.sim.simlink import SimLink
from blindvisor.sw.hypervisor.hypervisor import Hypervisor

__all__ = ["run_scenario"]


@cocotb.test()
async def run_scenario(dut: Any) -> None:
    """Reset the machine, run the scenario in a thread, report how it ended."""
    job = json.loads(os.environ[JOB_VARIABLE])
    with os.fdopen(int(os.environ[EVENTS_VARIABLE]), "w", buffering=1) as pipe:

        def deliver(event: dict[str, Any]) -> None:
            pipe.write(json.dumps(event) + "\n")

        config = MachineConfig(**job["config"])
        file = None if job["store"] is None else Path(job["store"])
        store, epoch = power_on(config, file, epoch=job["epoch"])
        link = SimLink(
            dut,
            config,
            root_key=bytes.fromhex(job["root_key"]),
            store=store,
            epoch=epoch,
            cycle_limit=job["cycles"],
            own_clock=job["own_clock"],
        )

        def scenario() -> Any:
            return find_scenario(job["scenario"])(Hypervisor(link), job["params"])

        with deliver_to(deliver):
            await link.start()
            try:
                result = await bridge(scenario)()
                emit("result", value=result, cycles=link.cycles)
            except Exception as error:
                emit(
                    "failure",
                    error=type(error).__name__,
                    message=str(error),
                    trace=traceback.format_exc(),
                    cycles=link.cycles,
                )
                raise
