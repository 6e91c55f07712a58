"""Attacks on a running machine, each with the planted faults that must make it succeed."""
