"""Folders of images whose names say which plane they are."""
