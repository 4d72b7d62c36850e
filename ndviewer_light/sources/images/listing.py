"""Lists image files: in a folder, in its subfolders, or at URLs given by a pattern."""

from __future__ import annotations

import math
import os
import re
from collections import Counter
from itertools import chain, islice
from typing import TYPE_CHECKING, NamedTuple

from ...errors import DatasetError, DatasetNotFoundError, LimitExceededError
from ...metadata.guessed_axes import sizes_in_words
from ...model import Interpretation, how_many, natural_sorted
from ...storage.asked_together import asked_together
from ...storage.bytes import is_url, name_of
from ...storage.decoding.pictures import PICTURE_ENDS
from ...storage.decoding.tiff_pages import TIFF_KINDS
from ...storage.limits import error_of_os
from ...storage.presentable import presentable_name
from ...storage.watched_folders import LISTED_TOGETHER
from .name_layouts import CLEAR, layout_sizes, understood
from .patterns import MAX_FILES, Pattern, is_pattern

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ...metadata.set_index import SetIndex
    from .name_layouts import Layout, Understanding

    Fields = dict[str, str]

IMAGE_ENDS = (*TIFF_KINDS, *PICTURE_ENDS)
_OME_TIFF = (".ome.tif", ".ome.tiff")
_KIND = {".tiff": ".tif", ".jpeg": ".jpg"}
_NOT_FOLDERS = (".zarr", ".n5", ".ozx")
"""Extensions of folders that are datasets themselves."""
_THUMBNAIL = re.compile(r"(?:^|[_\-. /])thumb(?:nails?|s)?(?=[_\-. /]|$|[0-9a-f]{8}-)", re.IGNORECASE)
MAX_DEPTH = 4
MAX_FOLDERS = 20_000
MAX_BELOW = 100_000
"""The maximum number of images in subfolders of a folder that contains images itself; more are left out."""
_MAX_SAID = 5
_MAX_EVIDENCE = 5
_MAX_OTHER_WAYS = 8
PATTERN = "pattern"
"""The storage option that says how files are named."""


class Listing(NamedTuple):
    """The files of a dataset: their common prefix, and the fields and name of each.

    `pattern` is "" if files were only sorted, each a time point. `evidence` supports this
    interpretation of the names, and lists alternatives; `others` are those that are nearly as likely.
    `beside` are the URLs of files that describe images, as far as a server lists them. `convention` is whose
    names they are, "" if nobody's that is known or that is not certain. `said` is what an index of the set
    says, which has its own name then, `title`. `warnings` are about the folder, `doubts` about what names
    mean.
    """

    root: str
    files: tuple[tuple[Fields, str], ...]
    pattern: str = ""
    warnings: tuple[str, ...] = ()
    evidence: tuple[str, ...] = ()
    others: tuple[Interpretation, ...] = ()
    beside: tuple[str, ...] = ()
    convention: str = ""
    said: SetIndex | None = None
    title: str = ""
    doubts: tuple[str, ...] = ()


def is_image(path: str) -> bool:
    """Whether a path or URL is an image file, judging by its extension."""
    return (name_of(path) if is_url(path) else path).lower().endswith(IMAGE_ENDS)


def split_pattern(path: str, pattern: str) -> tuple[str, str]:
    """The folder, and the pattern of names in it: given separately, or as part of the path."""
    if pattern or not is_pattern(path):
        return path, pattern
    at = path.rindex("/", 0, path.index("{")) if "/" in path[: path.index("{")] else -1
    return path[: at + 1] or ".", path[at + 1 :]


def holds_images(folder: str) -> bool:
    """Whether there is an image in a folder, or in one of its first subfolders; searches no further."""
    level = [folder]
    for _ in range(MAX_DEPTH):
        inner: list[str] = []
        for path in level:
            try:
                with os.scandir(path) as entries:
                    for entry in islice(entries, None if path == folder else 1000):
                        if not is_wanted(entry.name):
                            continue
                        if is_image(entry.name):
                            return True
                        if len(inner) < 8 and _is_wanted_folder(entry):
                            inner.append(entry.path)
            except (OSError, ValueError):
                continue
        level = inner
    return False


def listed(path: str, pattern: str = "") -> Listing:
    """List the images at a local path. Blocks on disk.

    Raises `DatasetNotFoundError` if there are none, `DatasetError` for a pattern that cannot be used.
    """
    root, pattern = split_pattern(path, pattern)
    if not pattern and os.path.isfile(root):
        return file_alone(root, os.sep)
    return _in_folder(os.path.abspath(root), pattern)


def file_alone(path: str, sep: str) -> Listing:
    """One file, of whose name nothing is said."""
    head, slash, name = path.rpartition(sep)
    return Listing(head + slash, (({}, name),))


def is_wanted(name: str) -> bool:
    """Whether a file or folder of this name is looked at: not hidden, and not of an archiver."""
    return not name.startswith((".", "~", "__MACOSX"))


def is_wanted_folder(name: str) -> bool:
    """Whether a folder of this name is looked into: it is no dataset itself."""
    return is_wanted(name) and not name.lower().endswith(_NOT_FOLDERS)


def names_in_folder(root: str, folder: str) -> tuple[set[str], list[str]]:
    """The images in one folder below `root` ("" or "a/b/"), and the folders in it; names are below `root`.

    Raises a `DatasetError` if it cannot be listed.
    """
    names, inner = FolderWalk(root).listed(folder)
    return set(names), inner


def is_thumbnail(name: str) -> bool:
    """Whether a file is named like a thumbnail of others."""
    return _THUMBNAIL.search(name) is not None


def _in_folder(folder: str, text: str) -> Listing:
    root, warnings = folder + os.sep, list[str]()
    if text:
        pattern = Pattern(text)
        names = FolderWalk(folder, MAX_FILES).names(MAX_DEPTH if pattern.depth is None else pattern.depth)
        _check_number(names, folder)
        return Listing(root, matching(pattern, names, folder), text)
    return listing_of(root, folder, _names_below(folder, warnings), warnings)


def listing_of(root: str, folder: str, names: list[str], warnings: list[str]) -> Listing:
    """What the images of a folder are by their names below `root`; `folder` is what messages call it.

    Raises `DatasetNotFoundError` if there are none.
    """
    kept, others = _of_one_kind(names)
    if not kept:
        raise DatasetNotFoundError(f"{folder} contains no images: expected {', '.join(IMAGE_ENDS)}")
    if others:
        kinds = f"{len(others)} images of other types" if len(others) > 1 else "an image of another type"
        warnings.append(f"{folder} also contains {kinds}, not shown: {names_said(others)}")
    kept, thumbnails = _without_thumbnails(kept)
    if thumbnails:
        small = how_many(len(thumbnails), "thumbnail") if len(thumbnails) > 1 else "a thumbnail"
        warnings.append(f"{folder} also contains {small}, not shown: {names_said(thumbnails)}")
    return _understood(root, sorted(kept), warnings)


def _check_number(names: list[str], folder: str) -> None:
    if len(names) > MAX_FILES:
        raise LimitExceededError(f"{folder} contains more than {MAX_FILES} images")


def _names_below(folder: str, warnings: list[str]) -> list[str]:
    """All images in a folder and its subfolders; only its own if there are too many."""
    names, folders = FolderWalk(folder, MAX_FILES).in_folder("")
    _check_number(names, folder)
    most = MAX_BELOW if names else MAX_FILES
    inner = FolderWalk(folder, most).names_in(folders, MAX_DEPTH - 1)
    if not names:
        _check_number(inner, folder)
    elif len(inner) > most:
        warnings.append(f"{folder} also contains folders with more than {most} images, which are not shown")
        inner = []
    return names + inner


def _understood(root: str, names: list[str], warnings: list[str]) -> Listing:
    by_stem: dict[str, str] = {}
    where = root.rstrip("/" + os.sep) or root
    doubts: list[str] = []
    for name in names:
        by_stem.setdefault(stem_of(name), name)
    found = understood(list(by_stem))
    layout = found.layout
    if layout is None:
        names = natural_sorted(names)
        if len(names) > 1:
            doubts.append(
                f"{where}: the naming of the {len(names)} files is not recognised; each is shown as a time "
                "point. Describe the names, for example with --pattern 'img_t{t:d}_{c}_z{z:d}.png'"
            )
        return Listing(
            root,
            tuple(({"t": str(i)}, name) for i, name in enumerate(names)),
            "",
            tuple(warnings),
            _evidence(found),
            _unordered(len(names)),
            doubts=tuple(doubts),
        )
    files = [(fields, by_stem[stem]) for stem, fields in layout.fields.items()]
    doubles = len(names) - len(by_stem)
    if doubles:
        warnings.append(
            f"{where}: {how_many(doubles, 'file')} named like others, with a different extension; not shown"
        )
    if layout.left_out:
        warnings.append(
            f"{where} also contains what is named differently from the others, not shown: "
            f"{names_said(layout.left_out)}"
        )
    n_planes = math.prod(layout.sizes.values())
    if n_planes > 2 * len(files):
        doubts.append(
            f"{where}: only {len(files)} of the {n_planes} planes implied by the file names exist "
            f"({layout.pattern.text!r}). If that is wrong, describe the names with --pattern"
        )
    if (doubt := _doubt(layout)) is not None:
        doubts.append(f"{where}: {doubt}")
    others = _others(found, list(by_stem))
    certain = "" if layout.doubts else layout.author
    text, evidence = layout.pattern.text, _evidence(found)
    return Listing(
        root, tuple(files), text, tuple(warnings), evidence, others, convention=certain, doubts=tuple(doubts)
    )


def _doubt(layout: Layout) -> str | None:
    """What is not certain about a layout, and how to choose the other."""
    if not layout.doubts:
        return None
    other = layout.other or layout.pattern.text
    return (
        f"the file names do not say what their {' and '.join(layout.doubts)} mean; shown as "
        f"{sizes_in_words(layout.sizes)} "
        f"({layout.pattern.text!r}). If that is wrong, try --pattern {other!r}"
    )


def _others(found: Understanding, names: list[str]) -> tuple[Interpretation, ...]:
    """The layouts that are nearly as likely as the chosen one, and the one that its doubts suggest."""
    chosen = found.layout
    if chosen is None:
        return ()
    near = [each for each in found.others if chosen.doubts or chosen.score - each.score < CLEAR]
    texts = [chosen.other, *(each.pattern.text for each in near)]
    patterns = [Pattern(text) for text in dict.fromkeys(texts) if text and text != chosen.pattern.text]
    return tuple(
        Interpretation(f"{sizes_in_words(layout_sizes(each, names))}   {each.text}", ((PATTERN, each.text),))
        for each in patterns[:_MAX_OTHER_WAYS]
    )


def _unordered(n: int) -> tuple[Interpretation, ...]:
    """What files may be of whose names nothing is understood, other than time points."""
    if n < 2:
        return ()
    return tuple(Interpretation(sizes_in_words({axis: n}), ((PATTERN, f"{{{axis}}}"),)) for axis in "zpc")


def _evidence(found: Understanding) -> tuple[str, ...]:
    """The evidence for and against the layouts of the names, the chosen one first."""
    layouts = [layout for layout in (found.layout, *found.others) if layout is not None]
    lines = [
        f"{layout.author or 'numbers in names'}: {layout.pattern.text!r} {'; '.join(layout.evidence)}"
        for layout in layouts[:_MAX_EVIDENCE]
    ]
    return (*lines, *(f"refused: {each}" for each in found.refused[:_MAX_EVIDENCE]))


def _without_thumbnails(names: list[str]) -> tuple[list[str], list[str]]:
    """Images and, separately, their thumbnails; if there is nothing else, these are the images."""
    thumbnails = [name for name in names if _THUMBNAIL.search(name)]
    if not thumbnails or len(thumbnails) == len(names):
        return names, []
    left_out = set(thumbnails)
    return [name for name in names if name not in left_out], thumbnails


def matching(pattern: Pattern, names: list[str], folder: str) -> tuple[tuple[Fields, str], ...]:
    """The files whose names match a pattern; raises `DatasetNotFoundError` if none does."""
    read = ((fields_of(pattern, name), name) for name in sorted(names))
    files = tuple((fields, name) for fields, name in read if fields is not None)
    if not files:
        few = ", ".join(map(repr, natural_sorted(names)[:_MAX_SAID])) or "no images"
        raise DatasetNotFoundError(
            f"{folder} contains no image matching {presentable_name(pattern.text)!r}; found {few}"
        )
    return files


def fields_of(pattern: Pattern, name: str) -> Fields | None:
    """The fields of a name; a pattern may omit the extension, which is then no part of a word at its end."""
    found = pattern.read(stem_of(name))
    return pattern.read(name) if found is None else found


def stem_of(name: str) -> str:
    """A name without its extension (".ome.tif" counts as one)."""
    lower = name.lower()
    for end in _OME_TIFF:
        if lower.endswith(end):
            return name[: -len(end)]
    return os.path.splitext(name)[0]


def names_said(names: list[str] | tuple[str, ...]) -> str:
    """Some of many names, in a message."""
    few = ", ".join(map(repr, names[:_MAX_SAID]))
    more = f" and {len(names) - _MAX_SAID} more" if len(names) > _MAX_SAID else ""
    return f"{few}{more}"


def _of_one_kind(names: list[str]) -> tuple[list[str], list[str]]:
    """The files with the most common extension, and the others, mostly thumbnails."""
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


class FolderWalk:
    """Lists the images below a folder, of a slow share several of its folders at a time.

    It ends once there are more than `most`: then these are not all, and not the first ones.
    """

    def __init__(self, root: str, most: float = math.inf) -> None:
        self._root = root
        self._room = most + 1  # threads that list at the same time may take a little more

    def names(self, depth: int) -> list[str]:
        """The images in the folder, and in those in it, so many levels down; below the folder.

        Raises a `DatasetError` if the folder itself cannot be listed.
        """
        names, inner = self.in_folder("")
        return names + self.names_in(inner, depth - 1)

    def names_in(self, folders: Sequence[str], depth: int) -> list[str]:
        """The images in each of some folders ("a/b/") and then in those in it, in their order."""
        return list(chain.from_iterable(self._below(folders, depth))) if depth >= 0 else []

    def _below(self, folders: Sequence[str], depth: int) -> Iterator[list[str]]:
        """Of each folder all images in it and below."""
        for at in range(0, len(folders), LISTED_TOGETHER):
            found = asked_together(self.in_folder, folders[at : at + LISTED_TOGETHER])
            inner = [each for _, folders_in_it in found for each in folders_in_it]
            deeper = self._below(inner, depth - 1) if depth and self._room > 0 else iter(())
            for names, folders_in_it in found:
                yield [*names, *chain.from_iterable(islice(deeper, len(folders_in_it)))]
            if self._room <= 0:
                return

    def in_folder(self, folder: str) -> tuple[list[str], list[str]]:
        """The same as `listed`; nothing for one in the folder itself that cannot be listed."""
        try:
            return self.listed(folder)
        except DatasetError:
            if not folder:
                raise
            return [], []  # it does not affect the others

    def listed(self, folder: str) -> tuple[list[str], list[str]]:
        """The images in one folder ("" or "a/b/"), and the folders in it. Any thread.

        Raises a `DatasetError` if it cannot be listed.
        """
        names, inner = list[str](), list[str]()
        try:
            with os.scandir(os.path.join(self._root, folder)) as entries:
                for entry in entries:
                    if self._room <= 0:
                        break
                    if not is_wanted(entry.name):
                        continue
                    if entry.name.lower().endswith(IMAGE_ENDS):
                        names.append(folder + entry.name)
                        self._room -= 1
                    elif len(inner) < MAX_FOLDERS and _is_wanted_folder(entry):
                        inner.append(f"{folder}{entry.name}/")
        except (OSError, ValueError) as error:
            raise error_of_os(error, os.path.join(self._root, folder)) from error
        return names, inner


def _is_wanted_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return is_wanted_folder(entry.name) and entry.is_dir()
    except (OSError, ValueError):
        return False
