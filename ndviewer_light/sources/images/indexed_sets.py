"""Sets of images of which an index beside them says what they are: MetaMorph's ``.nd``, MetaXpress' ``.HTD``.

An ``.nd`` tells the names of its files; of the others, names are understood as without an index, which then
says the rest (`beside` reads those that are called alike in every folder).
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
from typing import TYPE_CHECKING

from ...errors import DatasetError
from ...metadata.cellvoyager import DETAILS, RECORDS, SETTINGS_END, names_in_records
from ...metadata.metamorph import HTD_END, ND_END, htd_index, nd_index
from ...metadata.opera_index import OPERA_INDEXES, names_in_opera_index
from ...model import natural_sorted
from ...storage.asked_together import asked_together
from ...storage.bytes import is_url, name_of
from ...storage.local_files import LinkGuard
from ...storage.open_bytes import open_bytes
from ...storage.printable import brief
from .conventions import PARTS
from .listing import Listing, is_image, is_thumbnail, listed, listing_of, names_said, stem_of
from .patterns import Pattern

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from ...metadata.set_index import SetIndex
    from ..source import StorageOptions

_CALLED_ALIKE = (*OPERA_INDEXES, RECORDS, DETAILS)
_ENDS = (ND_END, HTD_END, SETTINGS_END, ".wpi")
MOST_OF_INDEX = 4 * 1024**2
"""Of a long index the beginning tells what all images have in common."""
_MOST_OF_LOCAL_INDEX, _LONGEST_ENTRY = 64 * 1024**2, 512
"""So much of an index is read for the names of its images, and none of them is longer."""
_MAX_NAMED = 5
_FOLDERS_AROUND = 2
_MOST_ENTRIES, _MOST_FOLDERS, _MOST_PLATES = 4096, 64, 64
"""So many entries and folders of a folder are looked at in search of indexes, and so many are read."""


def is_index(path: str) -> bool:
    """Whether a local path is called like the index of the images beside it."""
    return not is_url(path) and is_index_name(os.path.basename(path))


def is_index_name(name: str) -> bool:
    """Whether a file is called like the index of the images beside it."""
    return name in _CALLED_ALIKE or name.lower().endswith(_ENDS)


def is_own_index(name: str) -> bool:
    """Whether a file is called like an index that is of the set of its own name."""
    return name.lower().endswith((ND_END, HTD_END))


def index_text(path: str, options: StorageOptions = None, links: LinkGuard | None = None) -> str | None:
    """The beginning of an index, a path or URL; None if it cannot be read. `links` checks local files."""
    try:
        if links is not None and not is_url(path):
            links.check([path])
        file = open_bytes(path, options)
        try:
            return file.read(0, min(file.size, MOST_OF_INDEX)).decode("utf-8", "replace")
        finally:
            file.close()
    except DatasetError:
        return None


def names_listed(index: str, text: str) -> list[str]:
    """The names of the images that an index lists, each once; `index` is what it is called."""
    names = (names_in_records if index == RECORDS else names_in_opera_index)(text)
    return [each for each in dict.fromkeys(names) if is_image(each) and "/" not in each and "\\" not in each]


def names_in_file(path: str, options: StorageOptions = None, links: LinkGuard | None = None) -> list[str]:
    """The names of the images that an index lists, a path or URL; none if it cannot be read.

    `links` checks local files. Of one on a server the beginning is read.
    """
    name = name_of(path) if is_url(path) else os.path.basename(path)
    if is_url(path):
        return names_listed(name, index_text(path, options) or "")
    names: dict[str, None] = {}
    with contextlib.suppress(DatasetError):
        if links is not None:
            links.check([path])
        file = open_bytes(path, options)
        try:
            rest, end = b"", min(file.size, _MOST_OF_LOCAL_INDEX)
            for at in range(0, end, MOST_OF_INDEX):
                part = rest + file.read(at, min(MOST_OF_INDEX, end - at))
                names.update(dict.fromkeys(names_listed(name, part.decode("utf-8", "replace"))))
                rest = part[-_LONGEST_ENTRY:]
        finally:
            file.close()
    return list(names)


def listed_with_index(path: str, options: StorageOptions = None) -> Listing:
    """The images at a local path, which may be their index, a folder with one, or a file alone.

    Blocks on disk. Raises `DatasetNotFoundError` if there are none.
    """
    index = path if is_index(path) and not os.path.isdir(path) else ""
    folder = os.path.dirname(os.path.abspath(path)) if index else path
    if not os.path.isdir(folder):
        return listed(folder)
    if index and not is_own_index(index):
        return listed(folder)
    indexes = [index] if index else indexes_in(folder) or _plates_around(os.path.abspath(folder))
    if not indexes and (below := indexes_below(folder)):
        return _of_folders(folder, below, options)
    return with_index(folder, indexes, options, is_named=bool(index))


def with_index(
    folder: str,
    indexes: Sequence[str],
    options: StorageOptions = None,
    *,
    is_named: bool = False,
    known: Listing | None = None,
) -> Listing:
    """The images in a folder by the one index there is of them; by their names if there are several, or none.

    `is_named`: the user has named the index, which need not be of most of the images. `known`: what they are
    by their names, if that is known. Raises a `DatasetError`.
    """
    where = [os.path.dirname(os.path.abspath(index)) for index in indexes]
    links = LinkGuard(where, named=indexes[0] if is_named else None, options=options)

    def by_names() -> Listing:
        return listed(folder) if known is None else known

    if len(indexes) != 1:
        return with_choice(by_names(), [os.path.basename(index) for index in indexes])
    (index,) = indexes
    text = index_text(index, None, links) or ""
    if index.lower().endswith(HTD_END):
        own = _of_plate(folder, stem_of(os.path.basename(index))) if is_named else None
        return with_htd(own or by_names(), text)
    root = os.path.abspath(folder) + os.sep
    found = listed_by_nd(root, os.listdir(folder), index, text, is_named=is_named)
    return found or by_names()


def listed_by_nd(
    root: str, names: Iterable[str], index: str, text: str, *, is_named: bool = False
) -> Listing | None:
    """The files of an ``.nd`` among the `names` in its folder; None if there are none.

    Nor are they where another way to name them explains more, unless the user `is_named` it.
    """
    images = sorted(name for name in names if is_image(name) and not name.startswith("."))
    title = os.path.basename(index)
    said = nd_index(text, stem_of(title), images)
    if not said.pattern:
        return None
    pattern = Pattern(said.pattern)
    files = tuple((fields, name) for name in images if (fields := pattern.read(stem_of(name))) is not None)
    files = _of_one_ending(files)
    if not files or (not is_named and 2 * len(files) < len(images)):
        return None
    of_set = {name for _, name in files}
    others = [name for name in images if name not in of_set and not is_thumbnail(name)]
    warnings = []
    if others and not is_named:
        warnings.append(
            f"{root.rstrip(os.sep + '/')} also contains what is not of {title}, not shown: "
            f"{names_said(others)}"
        )
    evidence = f"MetaMorph: {brief(title)} names its files {said.pattern!r}: {len(files)} of {len(images)}"
    return Listing(
        root,
        files,
        said.pattern,
        tuple(warnings),
        (evidence,),
        convention="MetaMorph",
        said=said,
        title=title,
    )


def nd_of(path: str) -> str | None:
    """The ``.nd`` whose file a local image may be, by their names; None if there is none."""
    folder, name = os.path.split(path)
    stem = stem_of(name)
    ends = [i for i, letter in enumerate(stem) if letter == "_"][-_MAX_NAMED:]
    for end in (len(stem), *reversed(ends)):
        for ending in (ND_END, ND_END.upper()):
            index = os.path.join(folder, stem[:end] + ending)
            if os.path.isfile(index):
                return index
    return None


def indexes_in(folder: str) -> list[str]:
    """The paths of the indexes of single sets in a local folder."""
    try:
        with os.scandir(folder) as entries:
            found = [entry.path for entry in entries if is_own_index(entry.name) and entry.is_file()]
    except (OSError, ValueError):
        return []
    return natural_sorted(found)


def indexes_below(folder: str) -> list[str]:
    """The paths of the indexes in the first folders of a local one, and in theirs."""
    level, found = [folder], list[str]()
    for _ in range(_FOLDERS_AROUND):
        inner = itertools.chain.from_iterable(asked_together(_first_folders_in, level))
        level = natural_sorted(inner)[:_MOST_FOLDERS]
        found += itertools.chain.from_iterable(asked_together(indexes_in, level))
    return found


def _first_folders_in(folder: str) -> list[str]:
    with contextlib.suppress(OSError, ValueError), os.scandir(folder) as entries:
        first = itertools.islice(entries, _MOST_ENTRIES)
        return [each.path for each in first if each.is_dir(follow_symlinks=False)]
    return []


def _of_folders(folder: str, below: Sequence[str], options: StorageOptions) -> Listing:
    """The images of a folder with indexes in folders below it: that of all images is used."""
    found = listed(folder)
    inside = os.path.dirname(below[0]) + os.sep
    if len(below) == 1 and all((found.root + name).startswith(inside) for _, name in found.files):
        return with_index(inside, below, options)
    links = LinkGuard([folder], options=options)
    names = [os.path.relpath(index, folder).replace(os.sep, "/") for index in below]
    return with_indexes_below(
        found, names, lambda name: index_text(os.path.join(folder, name), None, links) or ""
    )


def with_indexes_below(found: Listing, indexes: Sequence[str], text_of: Callable[[str], str]) -> Listing:
    """The images of several folders with what the indexes in these say, if all say the same of channels."""
    plates = [index for index in indexes if index.lower().endswith(HTD_END)]
    if plates and len(plates) == len(indexes):
        found = _by_plates(found, plates)
    said = [htd_index(text_of(index)) for index in plates[:_MOST_PLATES]]
    if said and len(plates) == len(indexes) and all(each.channels == said[0].channels for each in said):
        return found._replace(said=said[0]._replace(planned=_planned_in_all(found, plates, said)))
    return with_choice(found, indexes)


def _by_plates(found: Listing, indexes: Sequence[str]) -> Listing:
    """The images of several plates in a folder each, which their indexes say are plates, whatever they are
    called: "P1" is no field.
    """
    head, slash, rest = found.pattern.partition("/")
    folders = {index.partition("/")[0] for index in indexes if index.count("/") == 1}
    if len(folders) < len(indexes) or not slash or "{plate" in found.pattern or "{" not in head:
        return found
    pattern = Pattern(f"{{plate}}/{rest}")
    read = [(pattern.read(stem_of(name)), name) for _, name in found.files]
    files = tuple((fields, name) for fields, name in read if fields and fields.get("plate") in folders)
    return found._replace(pattern=pattern.text, files=files) if len(files) == len(found.files) else found


def with_htd(found: Listing, text: str) -> Listing:
    """The images of a plate with what its ``.HTD`` says.

    Where all are in the first of several folders of time points, or of z, there are to be others.
    """
    said = htd_index(text)
    pattern, fields = found.pattern, {}
    for role, folder in (("t", "TimePoint_"), ("z", "ZStep_")):
        begins = re.search(rf"(?:^|/)({folder})([0-9]{{1,6}})/", pattern, re.IGNORECASE)
        if begins is None or any(role in each for each, _ in found.files):
            continue
        if sum(role in each for each in said.planned) > 1:
            pattern = f"{pattern[: begins.end(1)]}{{{role}:d}}{pattern[begins.end() - 1 :]}"
            fields[role] = begins[2]
    files = tuple((each | fields, name) for each, name in found.files) if fields else found.files
    return found._replace(said=said, pattern=pattern, files=files)


def _planned_in_all(
    found: Listing, indexes: Sequence[str], said: Sequence[SetIndex]
) -> tuple[Mapping[str, str], ...]:
    """What the indexes of several plates plan: the wells of each, and what is the same in all."""
    planned = [each for each in said[0].planned if all(each in other.planned for other in said)]
    planned = [each for each in planned if "region" not in each]
    for index, own in zip(indexes, said, strict=False):
        inside = index.rpartition("/")[0] + "/"
        plates = {fields.get("plate") for fields, name in found.files if name.startswith(inside)}
        plate = plates.pop() if len(plates) == 1 else None
        if plate is None:
            return tuple(each for each in planned if "region" not in each)
        planned += [{**each, "plate": plate} for each in own.planned if "region" in each]
    return tuple(planned)


def _plates_around(folder: str) -> list[str]:
    """The ``.HTD`` of a plate of which this is the folder of a time point or of a z."""
    for _ in range(_FOLDERS_AROUND):
        folder, name = os.path.split(folder)
        if not name or PARTS.fullmatch(name) is None:
            return []
        if found := [path for path in indexes_in(folder) if path.lower().endswith(HTD_END)]:
            return found
    return []


def with_choice(found: Listing, indexes: Sequence[str]) -> Listing:
    """The images by their names, with a warning if several indexes say more."""
    if not indexes:
        return found
    names = names_said(list(indexes))
    root = found.root.rstrip(os.sep + "/")
    said = f"{root} contains several sets: open one of their indexes to see it alone: {names}"
    return found._replace(warnings=(*found.warnings, said))


def _of_plate(folder: str, plate: str) -> Listing | None:
    """The images of a plate in a folder; None if there are none, or only such."""
    found = listed(folder)
    own = names_of_plate([name for _, name in found.files], plate)
    return listing_of(found.root, folder, own, []) if own else None


def names_of_plate(names: Sequence[str], plate: str) -> list[str]:
    """Those names that begin with that of a plate; none if all do."""
    begins = f"{plate}_".lower()
    own = [name for name in names if name.rpartition("/")[2].lower().startswith(begins)]
    return own if len(own) < len(names) else []


def _of_one_ending(files: Sequence[tuple[dict[str, str], str]]) -> tuple[tuple[dict[str, str], str], ...]:
    """Of files that are there with several endings, the one ending of most."""
    ends = [os.path.splitext(name)[1].lower() for _, name in files]
    usual = max(set(ends), key=lambda end: (ends.count(end), end)) if ends else ""
    return tuple(file for file, end in zip(files, ends, strict=True) if end == usual)
