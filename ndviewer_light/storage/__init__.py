"""Bytes and their limits: every format reads through this before native code sees anything."""
