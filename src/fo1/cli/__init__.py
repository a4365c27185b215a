"""The command line: one module per command, heavy imports only where they are needed."""
