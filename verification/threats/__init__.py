# SPDX-License-Identifier: Apache-2.0
"""Threat models and what each attack is about, as data; the attacks' code is elsewhere."""
