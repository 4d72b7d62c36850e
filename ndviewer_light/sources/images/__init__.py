"""Folders of images whose names say what they show."""
