"""Figures with a target, each beside its peers: ``python -m tests.benchmarks [ROW …]``.

What the rows are, how they are measured and what they said: ``docs/performance.md``.
"""
