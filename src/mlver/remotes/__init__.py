"""Places that keep content for many clones, behind one contract (`base`)."""
