"""Which storage options say how a dataset is understood, and which allow it to name other files. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...storage.local_files import ALLOW_OUTSIDE, FOLLOW_LINKS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

READING = ("axes", "pattern", "format")
"""The options that say how a dataset is understood."""
PERMISSIONS = (ALLOW_OUTSIDE, FOLLOW_LINKS)
_LONGEST_OPTION = 1000


def reading_of(options: Mapping[str, str]) -> dict[str, str]:
    """Those of some options that say how a dataset is understood."""
    return {name: options[name] for name in READING if options.get(name)}


def with_reading(options: Mapping[str, str], chosen: Mapping[str, str]) -> dict[str, str]:
    """`options` with another way to understand the dataset; {}: as it is found."""
    return {**{name: value for name, value in options.items() if name not in READING}, **chosen}


def checked_reading(document: object) -> dict[str, str]:
    """What was remembered; {} if it is nothing of the kind."""
    if not isinstance(document, dict):
        return {}
    return {
        name: value
        for name in READING
        if isinstance(value := document.get(name), str) and 0 < len(value) <= _LONGEST_OPTION
    }


def permission_missing(texts: Iterable[str]) -> str:
    """The option that an error or warning asks for, as other files are not read without it; "" if none."""
    said = "\n".join(texts)
    return next((option for option in PERMISSIONS if f"'{option}'" in said), "")
