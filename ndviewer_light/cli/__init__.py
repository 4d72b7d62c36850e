"""Subcommands of ``ndviewer-light``."""
