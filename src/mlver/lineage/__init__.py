"""Runs and what follows from them: values, files of this machine, queries. No git, no store."""
