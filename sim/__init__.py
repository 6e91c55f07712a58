"""Running the generated Verilog in a simulator."""
