"""What isolation costs, and that nobody's timing depends on a neighbour: measured on RTL."""
