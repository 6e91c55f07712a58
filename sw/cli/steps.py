# SPDX-License-Identifier: Apache-2.0
"""Progress of commands that go through steps."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

__all__ = ["Step", "steps"]

Step = Callable[[str, int, int | None], None]
"""Told what a step does, how much of it is done, and of how much (None: nobody knows)."""


@contextmanager
def steps() -> Iterator[Step]:
    """Show a bar per step on standard error; yields what a step calls."""
    bars = Progress(
        TextColumn("{task.description:<34}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=False,
    )
    tasks: dict[str, TaskID] = {}

    def step(what: str, done: int, total: int | None) -> None:
        if what not in tasks:
            tasks[what] = bars.add_task(what, total=total)
        bars.update(tasks[what], completed=done)

    with bars:
        yield step
