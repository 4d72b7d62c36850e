"""How a text says that it is a link to a view, see `view_link`; imports nothing."""

from __future__ import annotations

VIEW_SCHEME = "ndviewer:"
"""How links to views begin."""


def is_view_link(text: str) -> bool:
    """Whether a text is meant as a link to a view."""
    return text.strip()[: len(VIEW_SCHEME)].lower() == VIEW_SCHEME
