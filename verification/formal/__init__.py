"""Unbounded proofs."""
