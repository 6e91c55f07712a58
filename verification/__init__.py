"""Evidence for the promises."""
