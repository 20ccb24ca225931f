"""One subcommand a module; `mlver.cli.main` names them all in one table."""
