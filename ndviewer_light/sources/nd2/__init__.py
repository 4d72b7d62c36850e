"""ND2 files."""
