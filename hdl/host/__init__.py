"""The host link: what carries the hypervisor's port over a UART. Outside the trusted side."""
