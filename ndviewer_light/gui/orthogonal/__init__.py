"""Sections through the stack beside the picture, and the cross-hair that says where they are."""
