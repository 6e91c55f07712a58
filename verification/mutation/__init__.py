# SPDX-License-Identifier: Apache-2.0
"""Small faults made by a machine: how many do the proofs notice?"""
