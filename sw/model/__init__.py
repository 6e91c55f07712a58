# SPDX-License-Identifier: Apache-2.0
"""The machine in plain Python: the oracle of the tests."""
