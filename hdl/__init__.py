"""Gateware of the machine, in Amaranth."""
