"""Bytes and their limits: what every format reads through before native code sees anything."""
