"""The hypervisor's calls over interchangeable links."""
