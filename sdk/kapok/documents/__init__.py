"""Signed documents: what parties agree on in writing, each identified by the hash of its payload."""
