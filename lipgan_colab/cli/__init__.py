"""What is typed: every verb of the package as a command."""
