"""The tile: cores, memory, interrupts, network interface."""
