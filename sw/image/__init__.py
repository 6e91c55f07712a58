"""VM images: pack, inspect, verify."""
