"""The command line: parses, prints, exits. The only place that knows click or a terminal."""
