"""Content between this machine's store and remotes: the layout of a remote, what it holds, and
the moving of records. Above `store` and `remotes`, which know nothing of each other."""
