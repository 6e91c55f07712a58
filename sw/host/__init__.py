# SPDX-License-Identifier: Apache-2.0
"""The hypervisor's end of the host link: a machine on a board, over a UART."""
