"""Differences of two versions of a file, as values (model/change.py)."""
