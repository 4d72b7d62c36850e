"""Planes of one dataset: kept in memory, read in the background, followed while they change."""
