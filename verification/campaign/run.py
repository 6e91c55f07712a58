# SPDX-License-Identifier: Apache-2.0
"""Hands the open jobs of a campaign to workers, here or wherever a scheduler has some."""

import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from blindvisor.verification.campaign.jobs import Job, run_job, sources
from blindvisor.verification.campaign.results import Results

__all__ = ["INSTALL", "CampaignMissing", "run_campaign"]

INSTALL = "pip install -e '.[campaign]'"

Runner = Callable[[Job, str], dict[str, Any]]
Listener = Callable[[Job, dict[str, Any]], None]

RETRIES = 3
"""Workers that a job may lose before it is left open."""


class CampaignMissing(Exception):
    """Dask's distributed scheduler is not installed."""


def run_campaign(
    results: Results,
    *,
    workers: int = 2,
    scheduler: str | None = None,
    runner: Runner = run_job,
    on_result: Listener = lambda job, result: None,
) -> None:
    """Do all open jobs; each result is kept as soon as it is there.

    Parameters
    ----------
    results : :class:`~blindvisor.verification.campaign.results.Results`
        Jobs, and where their results go.
    workers : :class:`int`
        Processes of a cluster on this computer.
    scheduler : :class:`str` or None
        Address of a scheduler that has workers already; then ``workers`` means nothing.
    runner : callable
        Does a job, on a worker.
    on_result : callable
        Called with each job that has a result.

    Raises
    ------
    :exc:`CampaignMissing`
        If Dask is not installed.
    :exc:`OSError`
        If there is no scheduler at that address.

    Notes
    -----
    A job of a worker that is lost is given to another one, :data:`RETRIES` times; one that kills
    every worker stays open. One that raises something is broken: its result is the traceback.
    """
    jobs = {job.name: job for job in results.open_jobs()}
    if not jobs:
        return
    with _client(min(workers, len(jobs)), scheduler) as client:
        from distributed import KilledWorker, as_completed

        version = sources()
        futures = [
            # pure=False: the name alone is no promise that a result of before may be taken.
            client.submit(_timed, runner, job, version, key=f"blindvisor/{name}", pure=False)
            for name, job in jobs.items()
        ]
        for future in as_completed(futures):
            job = jobs[future.key.removeprefix("blindvisor/")]
            error = future.exception()
            if isinstance(error, KilledWorker) or future.cancelled():
                continue
            if error is not None:
                says = f"{type(error).__name__}: {error}"
                trace = "".join(traceback.format_exception(error))
                result = {"ok": False, "says": says, "trace": trace}
                results.record(job, result, broken=True, seconds=0.0, worker="")
            else:
                seconds, worker, result = future.result()
                results.record(job, result, broken=False, seconds=seconds, worker=worker)
            future.release()
            on_result(job, result)


def _timed(runner: Runner, job: Job, version: str) -> tuple[float, str, dict[str, Any]]:
    from distributed import get_worker

    begun = time.monotonic()
    result = runner(job, version)
    return time.monotonic() - begun, str(get_worker().address), result


@contextmanager
def _client(workers: int, scheduler: str | None) -> Iterator[Any]:
    try:
        import dask.config
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise CampaignMissing(f"campaigns need Dask's distributed: {INSTALL}") from error
    no_dashboard: dict[str, Any] = {"dashboard_address": None}  # typed as a string
    quiet = {"distributed.scheduler.allowed-failures": RETRIES}
    with dask.config.set(quiet):
        if scheduler is not None:
            with Client(scheduler, timeout=20) as client:
                yield client
            return
        # One thread each: jobs wait for simulators and solvers, which take a processor.
        with (
            LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                processes=True,
                **no_dashboard,
                memory_limit=None,
            ) as cluster,
            Client(cluster) as client,
        ):
            yield client
