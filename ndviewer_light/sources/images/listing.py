"""Which image files there are: in a folder, in folders of it, or at URLs that a pattern names."""

from __future__ import annotations

import os
from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from ...errors import DatasetNotFoundError, LimitExceededError
from ...model import natural_sorted
from ...storage.bytes import is_url
from ...storage.decoding.pictures import PICTURE_ENDS
from ...storage.decoding.tiff_pages import TIFF_ENDS
from ...storage.limits import error_of_os
from .numbering import guess
from .patterns import MAX_FILES, Pattern, is_pattern

if TYPE_CHECKING:
    from collections.abc import Iterator

    Fields = dict[str, str]

IMAGE_ENDS = (*TIFF_ENDS, *PICTURE_ENDS)
_OME_TIFF = (".ome.tif", ".ome.tiff")
_KIND = {".tiff": ".tif", ".jpeg": ".jpg"}
_MAX_FOLDERS = 20_000
_MAX_SAID = 5


class Listing(NamedTuple):
    """The files of a dataset: what is in front of every name, and the fields and name of each.

    `pattern` is "" where names were only put in order, each a time point.
    """

    root: str
    files: tuple[tuple[Fields, str], ...]
    pattern: str = ""
    warnings: tuple[str, ...] = ()


def is_image(path: str) -> bool:
    """Whether a path or URL is that of an image file, by its ending."""
    return (urlsplit(path).path if is_url(path) else path).lower().endswith(IMAGE_ENDS)


def split_pattern(path: str, pattern: str) -> tuple[str, str]:
    """The folder, and the pattern of the names in it: given apart, or within the path itself."""
    if pattern or not is_pattern(path):
        return path, pattern
    at = path.rindex("/", 0, path.index("{")) if "/" in path[: path.index("{")] else -1
    return path[: at + 1] or ".", path[at + 1 :]


def holds_images(folder: str) -> bool:
    """Whether there is an image in a folder, or in one of the first folders in it; looks no further."""
    try:
        with os.scandir(folder) as entries:
            inner: list[str] = []
            for entry in entries:
                if _is_wanted(entry.name) and is_image(entry.name):
                    return True
                if len(inner) < 8 and _is_wanted(entry.name) and entry.is_dir():
                    inner.append(entry.path)
        return any(is_image(name) for path in inner for name in islice(_names(path), 1000))
    except OSError:
        return False


def listed(path: str, pattern: str = "") -> Listing:
    """The images at a path or URL. Blocks on disk; sends no request.

    Raises `DatasetNotFoundError` if there are none, `DatasetError` for a pattern that cannot be used.
    """
    root, pattern = split_pattern(path, pattern)
    if is_url(root) and pattern:
        root = root.rstrip("/") + "/"
        return Listing(root, tuple((fields, name) for name, fields in Pattern(pattern).names()), pattern)
    if not pattern and (is_url(root) or os.path.isfile(root)):
        head, slash, name = root.rpartition("/" if is_url(root) else os.sep)
        return Listing(head + slash, (({}, name),))
    return _in_folder(os.path.abspath(root), pattern)


def _in_folder(folder: str, text: str) -> Listing:
    names = list(islice(_walk(folder, text.count("/") if text else None), MAX_FILES + 1))
    if len(names) > MAX_FILES:
        raise LimitExceededError(f"{folder} holds more than {MAX_FILES} images")
    root, warnings = folder + os.sep, list[str]()
    if text:
        return Listing(root, _matching(Pattern(text), names, folder), text)
    kept, others = _of_one_kind(names)
    if not kept:
        raise DatasetNotFoundError(f"{folder} holds no images: expected {', '.join(IMAGE_ENDS)}")
    if others:
        warnings.append(f"{folder} also holds {len(others)} images of other kinds; {_said(others)} not shown")
    return _understood(root, sorted(kept), warnings)


def _understood(root: str, names: list[str], warnings: list[str]) -> Listing:
    stems = [stem_of(name) for name in names]
    guessed = guess(stems)
    if guessed.pattern is None:
        names = natural_sorted(names)
        if len(names) > 1:
            warnings.append(
                f"{root}: what the names of the {len(names)} files mean is not known; each is a time point. "
                "A pattern says more, as in 'img_t{t:d}_{c}_z{z:d}.png'"
            )
        return Listing(
            root, tuple(({"t": str(i)}, name) for i, name in enumerate(names)), "", tuple(warnings)
        )
    files = []
    for name, stem in zip(names, stems, strict=True):
        if (fields := guessed.pattern.read(stem)) is not None:
            files.append((fields, name))
    if guessed.strangers:
        warnings.append(f"{root}: {_said(guessed.strangers)} not named like the others and not shown")
    return Listing(root, tuple(files), guessed.pattern.text, tuple(warnings))


def _matching(pattern: Pattern, names: list[str], folder: str) -> tuple[tuple[Fields, str], ...]:
    read = ((_fields(pattern, name), name) for name in sorted(names))
    files = tuple((fields, name) for fields, name in read if fields is not None)
    if not files:
        few = ", ".join(map(repr, natural_sorted(names)[:_MAX_SAID])) or "no images"
        raise DatasetNotFoundError(f"{folder} holds no image like {pattern.text!r}; there are {few}")
    return files


def _fields(pattern: Pattern, name: str) -> Fields | None:
    """The fields of a name; a pattern may leave the ending out."""
    found = pattern.read(name)
    return pattern.read(stem_of(name)) if found is None else found


def stem_of(name: str) -> str:
    """A name without its ending, ".ome.tif" being one."""
    lower = name.lower()
    for end in _OME_TIFF:
        if lower.endswith(end):
            return name[: -len(end)]
    return os.path.splitext(name)[0]


def _said(names: list[str] | tuple[str, ...]) -> str:
    few = ", ".join(map(repr, names[:_MAX_SAID]))
    more = f" and {len(names) - _MAX_SAID} more" if len(names) > _MAX_SAID else ""
    return f"{few}{more} {'are' if len(names) > 1 else 'is'}"


def _of_one_kind(names: list[str]) -> tuple[list[str], list[str]]:
    """Those with the ending that most have, and the others: thumbnails, mostly."""
    kinds = [_kind(name) for name in names]
    if len(set(kinds)) < 2:
        return names, []
    counts = Counter(kinds)
    usual = max(counts, key=lambda kind: (counts[kind], kind == ".tif"))
    pairs = list(zip(names, kinds, strict=True))
    return [n for n, kind in pairs if kind == usual], [n for n, kind in pairs if kind != usual]


def _kind(name: str) -> str:
    end = os.path.splitext(name)[1].lower()
    return _KIND.get(end, end)


# ---- disk ------------------------------------------------------------------------------------


def _walk(folder: str, depth: int | None) -> Iterator[str]:
    """The images in a folder and, `depth` down, in folders of it; None: one down, if there are none here."""
    inner: list[str] = []
    found = False
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if not _is_wanted(entry.name):
                    continue
                if is_image(entry.name):
                    found = True
                    yield entry.name
                elif len(inner) < _MAX_FOLDERS and entry.is_dir():
                    inner.append(entry.name)
    except OSError as error:
        raise error_of_os(error, folder) from error
    if depth or (depth is None and not found):
        for name in inner:
            yield from (f"{name}/{image}" for image in _walk(os.path.join(folder, name), (depth or 1) - 1))


def _names(folder: str) -> Iterator[str]:
    with os.scandir(folder) as entries:
        yield from (entry.name for entry in entries if _is_wanted(entry.name))


def _is_wanted(name: str) -> bool:
    return not name.startswith((".", "~", "__MACOSX"))
