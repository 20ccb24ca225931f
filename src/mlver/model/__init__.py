"""Pure values: digests, pointers, recipes. No file, no process, no clock."""
