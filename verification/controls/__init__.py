"""Planted faults that the evidence must catch."""
