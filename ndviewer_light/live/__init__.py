"""Runs that a host announces, with notifications while it acquires."""
