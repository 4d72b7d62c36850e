"""Where planes come from: `Format` recognises and opens, `Source` reads; a folder for each format.

A new format is a folder with a `format.py` and a line in `registry`, or a package of its own with an entry
point in the group ``ndviewer_light.sources``.
"""

from __future__ import annotations

from .format import Format
from .registry import open_source
from .source import Source, StorageOptions

__all__ = ["Format", "Source", "StorageOptions", "open_source"]
