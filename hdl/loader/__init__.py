"""The trusted loader and its AES-GCM engine."""
