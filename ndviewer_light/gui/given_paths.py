"""What a host gives as the place of a dataset: a path, a URL, or a writer that knows where it writes."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

from ..storage.bytes import is_url
from ..storage.presentable import presentable

_PATH_ATTRIBUTES = ("output_path", "root_path", "path")
_SETTINGS_ATTRIBUTES = (
    "settings",
    "_settings",
)  # ome-writers 0.3 has no public name for a stream's settings


def path_given(given: object) -> str:
    """The path or URL as text, "" for None. Raises `TypeError` or `ValueError` for anything else."""
    return "" if given is None else os.fsdecode(given)  # type: ignore[arg-type]


def path_followed(given: object) -> object:
    """Where `given` writes: itself if it is a path, else the path it names.

    Of an ome-writers stream or its ``AcquisitionSettings``, the `output_path`; of other objects the first
    of `output_path`, `root_path` and `path` that is a path and not empty, or of their `settings`. An object
    that names none is returned as it is.
    """
    if given is None or isinstance(given, (str, bytes, os.PathLike)):
        return given
    for holder in (given, *(getattr(given, name, None) for name in _SETTINGS_ATTRIBUTES)):
        for name in _PATH_ATTRIBUTES:
            path = getattr(holder, name, None)
            if isinstance(path, (str, bytes, os.PathLike)) and os.fspath(path):
                return path
    return given


def not_a_path(given: object) -> str:
    """The sentence that says so."""
    what = type(given).__name__
    shape = getattr(given, "shape", None)
    if isinstance(shape, tuple):
        what += f" of shape {shape}"
    article = "an" if what[0] in "aeiouAEIOU" else "a"
    return f"Expected the path or URL of a dataset, not {article} {what}."


def format_option(name: str) -> dict[str, str]:
    """The storage option that says what a dataset is; nothing where that is to be recognised."""
    return {"format": name} if name else {}


def is_same_place(path: str, other: str) -> bool:
    """Whether both are local, or on the same server: what may be sent to one may be sent to the other."""
    if is_url(path) or is_url(other):
        return urlsplit(path)[:2] == urlsplit(other)[:2]
    return True


def short_name(path: str) -> str:
    """A dataset's name for titles: the last part of its path or URL, without query."""
    if is_url(path):
        return presentable(path).rstrip("/").rpartition("/")[2]
    return os.path.basename(os.path.abspath(path)) if path else ""
