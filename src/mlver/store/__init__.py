"""Chunks on this machine: cutting, packing, finding, reading back. Knows nothing of git."""
