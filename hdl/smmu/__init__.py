"""The secure memory management unit of a cluster."""
