"""The HTML page of a demonstration."""
