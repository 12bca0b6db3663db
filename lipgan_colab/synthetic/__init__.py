"""Drawn people who speak, for tests and the demo."""
