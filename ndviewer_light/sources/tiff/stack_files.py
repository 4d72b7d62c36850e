"""Micro-Manager's stacks without OME-XML: a file for each position, and others where one was full.

Nothing in a file names the others: they are those of the same name before ``_MMStack``, with an index map. On
servers, which do not list them, they are asked for by the positions in the summary, and by number.
"""

from __future__ import annotations

import math
import os
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, unquote

from ...errors import DatasetError
from ...metadata.micromanager import StackFile, micromanager_stacks
from ...model import some_names
from ...storage.about_files import about_file
from ...storage.asked_together import asked_at_once
from ...storage.bytes import is_url
from .set_files import document_of, name_said, split_path, tiffs_in

if TYPE_CHECKING:
    from ...metadata.tiff_layout import TiffImage
    from ..tiff_files import TiffFiles

_NAME = re.compile(r"(?P<run>.+_MMStack)(?:_(?P<which>.+))?(?<!\.ome)\.tiff?", re.IGNORECASE)
_MAX_STACK_FILES = 512
"""How many files of a set are opened for their index maps."""
_FILES_AT_ONCE = 16
"""Files on a server that are opened at the same time."""
_NEXT = re.compile(r"(?:(?P<position>.+)_)?[1-9]\d?")
"""Of a file that continues where another was full: ``Pos0_1``, ``1``."""
_NUMBERED = re.compile(r"(?P<before>.*?)(?P<n>\d+)")


class StackFiles(NamedTuple):
    """The images of a set; their runs name files by their names in the folder."""

    images: tuple[TiffImage, ...]
    warnings: tuple[str, ...]


def is_named_stack(name: str) -> bool:
    """Whether a file is called like one of Micro-Manager's stacks, which may be one of several."""
    return "_MMStack" in name


def is_stack(path: str, files: TiffFiles) -> bool:
    """Whether a file is one of Micro-Manager's stacks without OME-XML, with its index map at its end."""
    return _NAME.fullmatch(name_said(path)) is not None and _stack(path, files) is not None


def begins_stacks(path: str, files: TiffFiles) -> bool:
    """Whether a local TIFF is one of the files of a run, by the first of them; the others may still come."""
    names = _files_of_run(path)
    if document_of(path, files) is not None:
        return False
    if len(names) < 2:
        return is_stack(path, files)
    found = [_stack(os.path.join(os.path.dirname(path), name), files) for name in names[:2]]
    return bool(micromanager_stacks([stack for stack in found if stack is not None], path))


def stacks_of(path: str, files: TiffFiles) -> StackFiles | None:
    """The images of the run that a file without OME-XML belongs to; None if it is not one of several."""
    folder, own_name = split_path(path)
    left: list[str] = []
    if is_url(path):
        stacks = _stacks_on_server(path, files)
        if len(stacks) < 2:
            return None
    else:
        names = _files_of_run(path)
        if len(names) < 2 or _stack(path, files) is None:
            return None
        found = [_stack(folder + name, files) for name in names[:_MAX_STACK_FILES]]
        left = [name for name, stack in zip(names, found, strict=False) if stack is None] + names[
            _MAX_STACK_FILES:
        ]
        stacks = [stack for stack in found if stack is not None]
    images = micromanager_stacks(stacks, path)
    if own_name not in {file for image in images for file in image.files}:
        return None  # what is in this file is not understood together with the others
    said = f"{folder[:-1]} also contains files that are not shown: {', '.join(some_names(left))}"
    shown = unquote if is_url(path) else str
    named = tuple(replace(image, name=_which(shown(image.name))) for image in images)
    return StackFiles(named, (about_file(said, folder),) if left else ())


def _which(name: str) -> str:
    match = _NAME.fullmatch(name)
    return (match["which"] or "") if match else ""


def _stacks_on_server(path: str, files: TiffFiles) -> list[StackFile]:
    """The files of the run of a file on a server; [] if it is none of such a run."""
    folder, name = split_path(path)
    match = _NAME.fullmatch(unquote(name))
    stack = _stack(path, files) if match is not None else None
    if match is None or stack is None:
        return []
    run, end = name.rpartition("_MMStack")[0] + "_MMStack", name.rpartition(".")[2]

    def name_of(position: str, number: int = 0) -> str:
        which = "_".join(part for part in (position, str(number or "")) if part)
        return f"{run}_{quote(which)}.{end}" if which else f"{run}.{end}"

    own = match["which"] or ""
    if (after := _NEXT.fullmatch(own)) and _stack(folder + name_of(after["position"] or ""), files):
        own = after["position"] or ""

    def of_position(position: str) -> list[StackFile]:
        found: list[StackFile] = []
        while len(found) < _MAX_STACK_FILES:
            part = name_of(position, len(found))
            each = stack if part == name else _stack(folder + part, files)
            if each is None:
                break
            found.append(each)
            if sum(len(part.offsets) for part in found) >= _n_planes(_summary(each)):
                break
        return found

    positions = _positions(own, _summary(stack))

    found = asked_at_once(of_position, positions, _FILES_AT_ONCE, "ndviewer-stacks")
    return [part for parts in found for part in parts]


def _summary(stack: StackFile) -> dict[str, Any]:
    said = stack.said.get("Summary")
    return said if isinstance(said, dict) else {}


def _n_planes(summary: dict[str, Any]) -> float:
    """How many planes a position has by the summary; infinitely many where it does not say so."""
    sizes = [summary.get(key) for key in ("Slices", "Frames", "Channels")]
    return math.prod(n for n in sizes if isinstance(n, int)) if all(map(_is_size, sizes)) else math.inf


def _is_size(n: object) -> bool:
    return isinstance(n, int) and not isinstance(n, bool) and 0 < n < 1_000_000


def _positions(own: str, summary: dict[str, Any]) -> list[str]:
    """What the positions of a run are called in the names of files, of which one is called `own`."""
    for key in ("StagePositions", "InitialPositionList"):
        listed = summary.get(key)
        stages = listed if isinstance(listed, list) else []
        labels = [each.get("Label") for each in stages if isinstance(each, dict)]
        told = [each for each in labels if isinstance(each, str) and "/" not in each]
        if own in told:
            return list(dict.fromkeys(told))[:_MAX_STACK_FILES]
    n, numbered = summary.get("Positions"), _NUMBERED.fullmatch(own)
    if isinstance(n, int) and _is_size(n) and numbered is not None and int(numbered["n"]) < n:
        digits = len(numbered["n"])
        return [f"{numbered['before']}{i:0{digits}d}" for i in range(min(n, _MAX_STACK_FILES))]
    return [own]


def _files_of_run(path: str) -> list[str]:
    """The names of the files of the same run in a local folder, in natural order."""
    own = None if is_url(path) else _NAME.fullmatch(os.path.basename(path))
    if own is None:
        return []
    names = map(os.path.basename, tiffs_in(os.path.dirname(path)))
    return [name for name in names if (match := _NAME.fullmatch(name)) and match["run"] == own["run"]]


def _stack(path: str, files: TiffFiles) -> StackFile | None:
    """What a file says of its pages; None without an index map."""
    try:
        with files.opened(path) as tiff:
            pages = tiff.pages
            said = pages.micromanager()
            if "IndexMap" in said:
                return StackFile(split_path(path)[1], said, pages.offsets, pages.facts)
    except DatasetError:
        return None
    return None
