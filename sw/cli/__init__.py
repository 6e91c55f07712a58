# SPDX-License-Identifier: Apache-2.0
"""The command line: ``blindvisor``."""

from blindvisor.sw.cli.app import main

__all__ = ["main"]
