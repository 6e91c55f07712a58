# SPDX-License-Identifier: Apache-2.0
"""Every job of a campaign counts exactly once, whatever dies in the middle."""

import os
import signal
import sqlite3
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from blindvisor.sw.cli.app import ExitCode, main
from blindvisor.verification.attacks.catalogue import ATTACKS
from blindvisor.verification.campaign.jobs import (
    Job,
    attack_jobs,
    fuzz_jobs,
    mutant_jobs,
    run_job,
    sources,
)
from blindvisor.verification.campaign.results import CampaignFileError, Results
from blindvisor.verification.campaign.run import INSTALL, run_campaign

JOBS = [Job(name=f"job/{n:02}", kind="test", params={"n": n}) for n in range(16)]


def runner_into(folder):
    """Return a runner that leaves a trace of each time it is run; pickled by value."""

    def run(job, version):
        with open(f"{folder}/{job.name.replace('/', '-')}", "a") as trace:
            trace.write(f"{os.getpid()}\n")
        time.sleep(0.1)
        with open(f"{folder}/{job.name.replace('/', '-')}.ended", "a") as trace:
            trace.write(f"{os.getpid()}\n")
        return {"ok": True, "says": str(job.params["n"])}

    return run


def traces(folder, ending):
    return {
        path.name.removesuffix(ending): path.read_text().split()
        for path in Path(folder).iterdir()
        if path.suffix == ending
    }


@pytest.fixture
def results(tmp_path):
    with Results(tmp_path / "campaign.sqlite", sources="some") as opened:
        yield opened


@pytest.mark.filterwarnings("ignore")  # of Dask's, when a worker is killed
def test_all_jobs_count_once_though_a_worker_is_killed(results, tmp_path):
    results.add(JOBS)
    folder = tmp_path / "traces"
    folder.mkdir()
    told = []
    killed = []

    def kill_one(job, result):
        told.append(job.name)
        if len(told) == 3:
            begun, ended = traces(folder, ""), traces(folder, ".ended")
            # A worker in the middle of a job, by its process.
            busy = [pids[-1] for name, pids in begun.items() if name not in ended]
            pid = int((busy or [next(iter(begun.values()))[-1]])[0])
            os.kill(pid, signal.SIGKILL)
            killed.append(str(pid))

    run_campaign(results, workers=2, runner=runner_into(folder), on_result=kill_one)
    assert killed
    assert results.counts() == {"done": len(JOBS)}
    assert sorted(told) == [job.name for job in JOBS]
    rows = list(results.results())
    assert [result["says"] for _, _, result in rows] == [str(n) for n in range(len(JOBS))]
    begun = Counter(len(pids) for pids in traces(folder, "").values())
    again = [name for name, pids in traces(folder, "").items() if len(pids) > 1]
    assert begun[1] + len(again) == len(JOBS)
    for name in again:  # only what the killed worker had
        assert traces(folder, "")[name][0] in killed


def test_a_campaign_that_ends_in_the_middle_goes_on_and_repeats_nothing(tmp_path):
    path, folder = tmp_path / "campaign.sqlite", tmp_path / "traces"
    folder.mkdir()

    class Crash(Exception):
        pass

    told = []

    def crash(job, result):
        told.append(job.name)
        if len(told) == 4:
            raise Crash

    with Results(path, sources="some") as results:
        results.add(JOBS)
        with pytest.raises(Crash):
            run_campaign(results, workers=2, runner=runner_into(folder), on_result=crash)
    with Results(path, sources="some") as results:
        assert results.counts() == {"done": 4, "open": len(JOBS) - 4}
        results.add(JOBS)
        run_campaign(
            results,
            workers=2,
            runner=runner_into(folder),
            on_result=lambda job, result: told.append(job.name),
        )
        assert results.counts() == {"done": len(JOBS)}
        run_campaign(results, workers=2, runner=runner_into(folder))  # nothing is left to do
    assert sorted(told) == [job.name for job in JOBS]
    for name in told[:4]:
        assert len(traces(folder, "")[name.replace("/", "-")]) == 1


def test_a_job_that_raises_is_broken_and_can_be_opened_again(results):
    def run(job, version):
        raise KeyError(job.name)

    results.add(JOBS[:1])
    run_campaign(results, workers=1, runner=run)
    assert results.counts() == {"broken": 1}
    ((name, kind, result),) = results.results()
    assert (name, kind, result["ok"], result["says"]) == (
        JOBS[0].name,
        "test",
        False,
        "KeyError: 'job/00'",
    )
    assert results.reopen_broken() == 1
    assert results.open_jobs() == JOBS[:1]


def test_a_result_counts_once(results):
    results.add(JOBS[:1])
    given = {"broken": False, "seconds": 1.0, "worker": "here"}
    results.record(JOBS[0], {"ok": True}, **given)
    with pytest.raises(CampaignFileError, match=r"job/00 must be open"):
        results.record(JOBS[0], {"ok": False}, **given)
    assert [result for _, _, result in results.results()] == [{"ok": True}]


def test_files_of_others_are_refused(results, tmp_path):
    path = tmp_path / "campaign.sqlite"
    results.add(JOBS)
    other = Job(name=JOBS[0].name, kind="test", params={"n": 7})
    with pytest.raises(CampaignFileError, match=r'job/00 is in the file with \{"n": 0\}'):
        results.add([other])
    with pytest.raises(CampaignFileError, match="is in use by another campaign"):
        Results(path, sources="some")
    results.__exit__()
    with pytest.raises(CampaignFileError, match=r"results of sources some, not others"):
        Results(path, sources="others")
    path.write_bytes(b"no database" * 100)
    with pytest.raises(CampaignFileError, match="must be a file of a campaign"):
        Results(path, sources="some")


def test_the_file_is_plain_sqlite(results, tmp_path):
    results.add(JOBS)
    results.__exit__()
    with sqlite3.connect(tmp_path / "campaign.sqlite") as connection:
        rows = connection.execute("SELECT count(*) FROM jobs WHERE state = 'open'").fetchall()
    connection.close()
    assert rows == [(len(JOBS),)]


def test_jobs_cover_what_was_asked_for():
    jobs = fuzz_jobs(calls=5000, cycles=1_500_000, seed=4)
    assert [job.params["total"] for job in jobs] == [2000, 2000, 1000, 1_000_000, 500_000]
    assert len({job.name for job in jobs}) == len(jobs)
    assert len({job.params["seed"] for job in jobs if job.params["kind"] == "calls"}) == 3
    names = {job.name for job in attack_jobs([], config="small", controls=True)}
    assert len(names) == len(ATTACKS) + sum(len(item.controls) for item in ATTACKS.values())
    assert [job.name for job in mutant_jobs(["egress"], most=3)] == ["mutants/egress"]
    with pytest.raises(ValueError, match="a module must be one of"):
        mutant_jobs(["nothing"], most=None)


def test_other_sources_are_refused():
    with pytest.raises(RuntimeError, match="a worker must have the sources old, not"):
        run_job(JOBS[0], "old")


@pytest.mark.cocotb
def test_an_attack_is_a_job():
    (job,) = attack_jobs(["unknown-calls"], config="small", controls=False)
    result = run_job(job, sources())
    assert (result["ok"], result["says"]) == (True, "DENIED")


def test_without_dask_the_error_tells_how_to_install_it(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(sys.modules, "distributed", None)
    code = main(["campaign", "--fuzz", "--calls", "1", "--db", str(tmp_path / "file.sqlite")])
    assert code == ExitCode.MISSING_TOOL
    assert INSTALL in capsys.readouterr().err


def test_bad_input_is_one_sentence(capsys):
    assert main(["campaign"]) == ExitCode.BAD_INPUT
    assert main(["campaign", "--fuzz", "--controls"]) == ExitCode.BAD_INPUT
    assert main(["campaign", "--attacks", "--only", "nothing"]) == ExitCode.BAD_INPUT
    said = capsys.readouterr().err
    assert "give --attacks, --fuzz or --mutants" in said
    assert "attack must be one of" in said
