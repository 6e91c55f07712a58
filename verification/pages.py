# SPDX-License-Identifier: Apache-2.0
"""Tables of documentation pages that commands write: what stands between two marks."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

__all__ = ["fill", "table"]


def fill(page: str, parts: Mapping[str, Iterable[str]]) -> str:
    """Return the page with new lines between ``<!-- NAME -->`` and ``<!-- /NAME -->``.

    Parameters
    ----------
    page : :class:`str`
        Markdown.
    parts : mapping
        Lines by name.

    Raises
    ------
    :exc:`ValueError`
        If a mark is missing.
    """
    for name, lines in parts.items():
        begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
        before, found, rest = page.partition(begin)
        _, closed, after = rest.partition(end)
        if not found or not closed:
            raise ValueError(f"the page must have the marks <!-- {name} --> and {end}")
        page = before + begin + "".join(f"{line}\n" for line in lines) + end + after
    return page


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a table."""
    yield f"| {' | '.join(head)} |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield f"| {' | '.join(row)} |"
