# SPDX-License-Identifier: Apache-2.0
"""What a scenario tells while it runs, wherever it runs."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["Event", "Sink", "deliver_to", "emit"]

Event = dict[str, Any]
"""``kind`` and further values, all of which JSON can hold."""

Sink = Callable[[Event], None]

_sinks: list[Sink] = []


def emit(kind: str, **values: Any) -> None:
    """Tell whoever started the scenario; nobody hears it if nobody listens."""
    if _sinks:
        _sinks[-1]({"kind": kind, **values})


@contextmanager
def deliver_to(sink: Sink) -> Iterator[None]:
    """Send what is emitted inside the block to ``sink``."""
    _sinks.append(sink)
    try:
        yield
    finally:
        _sinks.pop()
