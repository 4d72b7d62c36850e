"""NeXus: which dataset of a file is its picture, and the names of its axes.

Source: NeXus manual, "Find the default plottable data": the attribute "default" leads from the root to an
NXentry and from there to an NXdata, whose "signal" names the dataset and "axes" its axes; in files before
2014 the dataset itself has ``signal=1`` and "axes" joined by colons. Functions are called within
`HDF5File.reading`.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np

from .axes import AxisNotes
from .scales import scale_step

if TYPE_CHECKING:
    from collections.abc import Iterator

    import h5py

    from .file import HDF5File

_MOST_STEPS = 8
_MOST_CHILDREN = 256
_SHOWN_AS = {"image": ("y", "x"), "rgb-image": ("y", "x", "c"), "rgba-image": ("y", "x", "c")}
"""The last axes of a dataset by its attribute "interpretation"."""
_SEPARATORS = str.maketrans(",;[]", "::  ")


def default_groups(file: HDF5File) -> Iterator[str]:
    """The paths of the NXdata groups of a file, the default first; "" is the root itself."""
    import h5py

    path, group = "", file.root
    seen = []
    for _ in range(_MOST_STEPS):
        name = file.attribute(group, "default")
        below = file.follow(name, group) if isinstance(name, str) and name.strip("/.") else None
        if not isinstance(below, h5py.Group):
            break
        path, group = (name.rstrip("/") if name.startswith("/") else f"{path}/{name.strip('/')}"), below
    if path or file.attribute(group, "signal") is not None:
        seen.append(path)
        yield path
    if not path and file.attribute(group, "NX_class") is None and not _may_have_entries(group):
        return
    for entry_path, entry in _children(file, "", file.root, "NXentry"):
        for data_path, _ in _children(file, entry_path, entry, "NXdata"):
            if data_path not in seen:
                yield data_path


def signal_of(file: HDF5File, group: h5py.Group) -> str | None:
    """The name of the dataset that a group is about; None if it does not say."""
    import h5py

    name = file.attribute(group, "signal")
    if isinstance(name, str) and name.strip():
        return name.strip()
    if file.attribute(group, "NX_class") != "NXdata":
        return None
    for raw in itertools.islice(group.id, _MOST_CHILDREN):
        child: str = raw.decode("utf-8", "surrogateescape")
        node = file.follow(child, group)
        if isinstance(node, h5py.Dataset) and _is_one(file.attribute(node, "signal")):
            return child
    return None


def default_signal(file: HDF5File) -> str | None:
    """The path of the dataset that is to be shown, perhaps in another file; None if nothing says."""
    import h5py

    for path in default_groups(file):
        group = file.follow(path or "/")
        if isinstance(group, h5py.Group) and (name := signal_of(file, group)) is not None:
            return f"{path}/{name}"
    for path in entry_data(file):  # without any attribute
        if file.follow(f"{path}/data") is not None:
            return f"{path}/data"
    return None


def entry_data(file: HDF5File) -> list[str]:
    """Where NeXus files have their data if they are named as usual."""
    names = (raw.decode("utf-8", "surrogateescape") for raw in itertools.islice(file.root.id, _MOST_CHILDREN))
    return [f"/{name}/data" for name in names if name.startswith("entry")]


def axis_notes(file: HDF5File, path: str, dataset: h5py.Dataset) -> AxisNotes | None:
    """What the NXdata group around a dataset says of its axes; None if it does not."""
    import h5py

    parent, _, name = path.rpartition("/")
    group = file.follow(parent or "/")
    if not isinstance(group, h5py.Group):
        return None
    rank = len(dataset.shape)
    names = _axis_names(file, group, name, dataset)
    if len(names) != rank or not any(names):
        names = list(_SHOWN_AS.get(str(file.attribute(dataset, "interpretation")), ()))
        names = [""] * (rank - len(names)) + names
    if len(names) != rank or not any(names):
        return None
    steps = tuple(_step(file, group, each, n) for each, n in zip(names, dataset.shape, strict=True))
    return AxisNotes(tuple(names), steps, ((),) * rank, "NXdata of NeXus")


def _axis_names(file: HDF5File, group: h5py.Group, name: str, dataset: h5py.Dataset) -> list[str]:
    said = file.attribute(group, "axes") if signal_of(file, group) == name else None
    if said is None:
        said = file.attribute(dataset, "axes")
    if isinstance(said, str):
        said = said.translate(_SEPARATORS).split(":") if len(dataset.shape) > 1 else [said]
    return [each.strip(" .") for each in said] if isinstance(said, (tuple, list)) else []


def _step(file: HDF5File, group: h5py.Group, name: str, n: int) -> tuple[float, object] | None:
    import h5py

    scale = file.follow(name, group) if name else None
    return scale_step(file, scale, n) if isinstance(scale, h5py.Dataset) else None


def _may_have_entries(root: h5py.Group) -> bool:
    """By names alone: what is no NeXus file should not be searched for it."""
    return any(raw.startswith(b"entry") for raw in itertools.islice(root.id, _MOST_CHILDREN))


def _children(file: HDF5File, path: str, group: h5py.Group, kind: str) -> Iterator[tuple[str, h5py.Group]]:
    """The groups of one NeXus class in a group, by name; not those in other files."""
    import h5py

    for raw in itertools.islice(group.id, _MOST_CHILDREN):
        name = raw.decode("utf-8", "surrogateescape")
        node = file.follow(name, group)
        if isinstance(node, h5py.Group) and file.attribute(node, "NX_class") == kind:
            yield f"{path}/{name}", node


def _is_one(value: object) -> bool:
    if isinstance(value, np.ndarray):
        return value.size == 1 and value.reshape(-1)[0] == 1
    return value == "1"
