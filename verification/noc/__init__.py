"""How soon and how much the mesh carries, measured on its netlist."""
