# SPDX-License-Identifier: Apache-2.0
"""Many attacks, fuzzing runs and mutants on many processes or computers, each exactly once."""
