# SPDX-License-Identifier: Apache-2.0
"""The one file of a campaign: what is to be done, and what came of it. SQLite."""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self

from blindvisor.verification.campaign.jobs import Job

__all__ = ["CampaignFileError", "Results"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS campaign (version INTEGER NOT NULL, sources TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS jobs (
    name TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    params TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'done', 'broken')),
    ok INTEGER,
    seconds REAL,
    worker TEXT,
    result TEXT
) WITHOUT ROWID;
"""
_VERSION = 1


class CampaignFileError(ValueError):
    """A file that is none of this campaign."""


class Results:
    """Jobs with their results.

    Parameters
    ----------
    path : :class:`~pathlib.Path`
        Made if it is not there.
    sources : :class:`str`
        Digest of the sources; a file with results of others is refused.

    Raises
    ------
    :exc:`CampaignFileError`
        If the file is another one.

    Notes
    -----
    Only the campaign's own process writes, each result in one transaction with the change of its
    job's state: after a crash at any moment a job is either open or done.
    """

    def __init__(self, path: Path, *, sources: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(path, isolation_level=None, timeout=5.0)
        try:
            # Held until the end: a second campaign on the same file would do its jobs twice.
            self._connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._connection.execute("BEGIN EXCLUSIVE")
            for statement in _SCHEMA.split(";"):
                self._connection.execute(statement)
            rows = self._connection.execute("SELECT version, sources FROM campaign").fetchall()
            if not rows:
                self._connection.execute("INSERT INTO campaign VALUES (?, ?)", (_VERSION, sources))
            self._connection.execute("COMMIT")
        except sqlite3.OperationalError as error:
            self._connection.close()
            raise CampaignFileError(f"{path} is in use by another campaign: {error}") from error
        except sqlite3.DatabaseError as error:
            self._connection.close()
            raise CampaignFileError(f"{path} must be a file of a campaign: {error}") from error
        if rows and rows[0] != (_VERSION, sources):
            self._connection.close()
            raise CampaignFileError(
                f"{path} holds results of sources {rows[0][1]}, not {sources}: give another --db"
            )

    def __enter__(self) -> Self:
        """Nothing to do."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self._connection.close()

    def add(self, jobs: Sequence[Job]) -> None:
        """Add jobs; those that are there stay as they are.

        Raises
        ------
        :exc:`CampaignFileError`
            If a job of that name is there with other parameters.
        """
        rows = [(job.name, job.kind, json.dumps(job.params, sort_keys=True)) for job in jobs]
        for name, kind, params in rows:
            there = self._connection.execute(
                "SELECT kind, params FROM jobs WHERE name = ?", (name,)
            ).fetchone()
            if there not in (None, (kind, params)):
                raise CampaignFileError(
                    f"job {name} is in the file with {there[1]}, not {params}: give another --db"
                )
        self._connection.execute("BEGIN")
        self._connection.executemany(
            "INSERT OR IGNORE INTO jobs (name, kind, params) VALUES (?, ?, ?)", rows
        )
        self._connection.execute("COMMIT")

    def reopen_broken(self) -> int:
        """Make broken jobs open again; return how many."""
        return self._connection.execute(
            "UPDATE jobs SET state = 'open', ok = NULL, result = NULL WHERE state = 'broken'"
        ).rowcount

    def open_jobs(self) -> list[Job]:
        """Return what is still to be done, in the order of the names."""
        rows = self._connection.execute(
            "SELECT name, kind, params FROM jobs WHERE state = 'open' ORDER BY name"
        )
        return [Job(name=name, kind=kind, params=json.loads(params)) for name, kind, params in rows]

    def record(
        self, job: Job, result: dict[str, Any], *, broken: bool, seconds: float, worker: str
    ) -> None:
        """Keep the result of an open job.

        Raises
        ------
        :exc:`CampaignFileError`
            If the job is not open: it would count twice.
        """
        changed = self._connection.execute(
            "UPDATE jobs SET state = ?, ok = ?, seconds = ?, worker = ?, result = ?"
            " WHERE name = ? AND state = 'open'",
            (
                "broken" if broken else "done",
                bool(result["ok"]),
                seconds,
                worker,
                json.dumps(result),
                job.name,
            ),
        ).rowcount
        if changed != 1:
            raise CampaignFileError(f"job {job.name} must be open to get a result")

    def counts(self) -> dict[str, int]:
        """Return how many jobs are in which state."""
        return dict(self._connection.execute("SELECT state, count(*) FROM jobs GROUP BY state"))

    def results(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Give name, kind and result of all that have one."""
        rows = self._connection.execute(
            "SELECT name, kind, result FROM jobs WHERE state != 'open' ORDER BY name"
        )
        for name, kind, result in rows:
            yield name, kind, json.loads(result)
