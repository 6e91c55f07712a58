"""The mesh: routers, packets."""
