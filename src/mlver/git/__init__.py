"""Everything that speaks to git: its commands, configuration, index, filter protocol, hooks."""
