"""Security monitor, channels and the hypervisor's port."""
