"""Bytes from servers and network shares: few requests, many at once, retried."""
