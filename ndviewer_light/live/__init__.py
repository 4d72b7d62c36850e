"""Runs that a host announces and notifies of while it acquires."""
