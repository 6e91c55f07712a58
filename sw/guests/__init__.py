# SPDX-License-Identifier: Apache-2.0
"""Programs that run inside VMs, their C runtime, and how they are built."""
