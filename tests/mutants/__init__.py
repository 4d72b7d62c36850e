"""Damaged metadata by the thousand: ``python -m tests.mutants --count 20000`` (see `__main__`)."""
