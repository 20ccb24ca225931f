"""One use case a module; each ties git, store and remotes together and prints nothing."""
