# SPDX-License-Identifier: Apache-2.0
"""The user's terminal as a VM's: keys in, characters out, until Ctrl-]."""

import os
import re
import select
import sys

from blindvisor.sw.host.errors import HostLinkError
from blindvisor.sw.hypervisor.link import Link

__all__ = ["LEAVE", "attach", "printable"]

LEAVE = b"\x1d"
"""Ctrl-]."""

_LOOK = 0.02  # seconds


def printable(text: str) -> str:
    """Return a guest's text without what could control the terminal: guests are not trusted."""
    return re.sub(r"[^\x20-\x7e\t\n\r]", "\N{REPLACEMENT CHARACTER}", text)


def attach(link: Link, channel: int) -> None:
    """Join standard input and output with a TTY channel until Ctrl-] is pressed.

    Raises
    ------
    :exc:`~blindvisor.sw.host.errors.HostLinkError`
        If this system has no such terminals, or as the link.
    """
    try:
        import termios
        import tty
    except ImportError as error:
        raise HostLinkError("this system's terminal cannot do that: use `tty N TEXT`") from error
    keys = sys.stdin.fileno()
    before = termios.tcgetattr(keys)
    tty.setcbreak(keys)
    try:
        while True:
            if select.select([keys], [], [], _LOOK)[0]:
                typed = os.read(keys, 256)
                if not typed or LEAVE in typed:
                    link.tty_write(channel, typed.partition(LEAVE)[0])
                    return
                link.tty_write(channel, typed)
            if text := link.tty_read(channel).decode("latin-1"):
                sys.stdout.write(printable(text))
                sys.stdout.flush()
    finally:
        termios.tcsetattr(keys, termios.TCSADRAIN, before)
