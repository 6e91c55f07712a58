# SPDX-License-Identifier: Apache-2.0
"""Random hypervisors and random guests on RTL, in lockstep with the model of the machine."""
