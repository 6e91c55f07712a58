"""The hypervisor's software, the image tool and the command line."""
