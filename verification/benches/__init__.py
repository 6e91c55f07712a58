"""cocotb benches, one module per block."""
