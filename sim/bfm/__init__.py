"""Bus-functional models for cocotb."""
