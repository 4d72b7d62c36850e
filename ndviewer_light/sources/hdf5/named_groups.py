"""Images whose axes are in the names of groups and datasets: ``/t0/channel0``, as Fiji's HDF5 plug-in writes.

Datasets of one size and type whose paths differ only in numbers behind words that mean an axis ("t", "time",
"channel", "z", "position", …) are one image; where datasets of such groups are called by words, these are the
channels. What is inside a dataset is what it would be by itself. Everything here is called within
`HDF5File.reading`.
"""

from __future__ import annotations

import dataclasses
import math
import re
from typing import TYPE_CHECKING, NamedTuple

from ...errors import DatasetError
from ...model import Channel, PlaneKey, Position, colored, natural_key
from ...storage.limits import MAX_CHANNELS, MAX_POSITIONS, MAX_T
from .axes import role_of
from .choices import Choices, described, others_warning
from .composite import Composite, PlaneAddress
from .images import dataset_info
from .parts import PartAddress

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ...model import DatasetInfo, ImageInfo, Level
    from .choices import Candidate
    from .file import HDF5File
    from .images import HDF5Image

_NUMBERED = re.compile(r"([A-Za-z]+(?:[ _-][A-Za-z]+)*)[ _-]?([0-9]{1,9})")
_ALSO = {
    **dict.fromkeys(("timepoint", "time point", "tp", "tl", "tm"), "t"),
    **dict.fromkeys(("chn", "wavelength"), "c"),
    **dict.fromkeys(("view", "angle", "tile", "xy", "s", "setup", "well"), "p"),
}
_AXES = "tpcz"
_FREE = "ztcp"
"""Which role an axis takes instead of one that the names have, the innermost axis first."""
_MOST = {"t": MAX_T, "p": MAX_POSITIONS, "c": MAX_CHANNELS, "z": MAX_T}

_Value = tuple[int, str]  # the number in a name, and the name; or 0 and a word


class _NamedDataset(NamedTuple):
    """A dataset by its name: what it shares with others, and which of them it is."""

    form: tuple[str, ...]
    values: Mapping[str, _Value]
    candidate: Candidate


def image_of_groups(file: HDF5File, known: Choices, path: str) -> NamedGroupsImage | None:
    """The image that datasets make up together, if it has the most pixels of all; None if there is none.

    `path` is that of the file, as it was opened.
    """
    candidates = known.candidates
    if any(each.is_main or each.series is not None or each.picture is not None for each in candidates):
        return None
    sets = [each for each in _with_words(_sets(candidates)) if len(each) > 1]
    if not sets:
        return None
    best = max(sets, key=lambda each: sum(math.prod(one.candidate.facts.shape) for one in each))
    if any(len({one.values[role] for one in best}) > _MOST[role] for role in best[0].values):
        return None
    within = {one.candidate.path for one in best}
    alone = [each for each in candidates if each.path not in within]
    n_pixels = sum(math.prod(one.candidate.facts.shape) for one in best)
    if any(math.prod(each.facts.shape) > n_pixels for each in alone):
        return None
    try:
        image = described(best[0].candidate)
        roles = _roles_inside(image, set(best[0].values))
    except DatasetError:
        return None
    if roles is None:
        return None
    return NamedGroupsImage(file, best, image, roles, known._replace(candidates=tuple(alone)), path)


def _sets(candidates: Iterable[Candidate]) -> list[list[_NamedDataset]]:
    """Datasets by what their names share, if they are in the same file and of one size and type."""
    found: dict[object, list[_NamedDataset]] = {}
    for each in candidates:
        form, values = _read(each.path)
        if values and not each.at and not each.is_called_labels:
            shape = each.facts.shape
            alike = (form, len(shape), shape[-2:], each.facts.dtype)
            found.setdefault(alike, []).append(_NamedDataset(form, values, each))
    return list(found.values())


def _read(path: str) -> tuple[tuple[str, ...], dict[str, _Value]]:
    """What a path shares with others of its image, and the numbers along axes in it."""
    form, values = list[str](), dict[str, _Value]()
    for segment in path.strip("/").split("/"):
        match = _NUMBERED.fullmatch(segment)
        word = re.sub("[ _-]+", " ", match[1]).lower() if match else ""
        role = (role_of(word) or _ALSO.get(word, "")) if match else ""
        if match and role and role in _AXES and role not in values:
            values[role] = (int(match[2]), segment)
            form.append(f"{role}:{word}")
        else:
            form.append(segment)
    return tuple(form), values


def _with_words(sets: list[list[_NamedDataset]]) -> list[list[_NamedDataset]]:
    """The same, and sets joined whose datasets differ in one word, the name of their channel.

    Groups that are called by words may be anything: samples, treatments.
    """
    joined: dict[object, list[_NamedDataset]] = {}
    for each in sets:
        first = each[0]
        word, shape = first.form[-1], first.candidate.facts.shape
        if "c" not in first.values and ":" not in word:
            places = frozenset(tuple(sorted(one.values.items())) for one in each)
            alike = (first.form[:-1], len(shape), shape[-2:], first.candidate.facts.dtype, places)
            named = (one._replace(values={**one.values, "c": (0, word)}) for one in each)
            joined.setdefault(alike, []).extend(named)
    return [*sets, *joined.values()]


def _roles_inside(image: HDF5Image, named: set[str]) -> tuple[str, ...] | None:
    """The roles of the axes of each dataset, without those that names have; None if they contradict."""
    roles, is_assumed = list(image.roles), bool(image.warnings)
    for i in reversed(range(len(roles))):
        if roles[i] not in named:
            continue
        if image.shape[i] == 1:
            roles[i] = ""
            continue
        free = [role for role in _FREE if role not in named and role not in roles]
        if not is_assumed or image.rgb or not free:
            return None
        roles[i] = free[0]
    return tuple(roles)


class NamedGroupsImage(Composite):
    """An image of datasets that are named by their place in it."""

    def __init__(
        self,
        file: HDF5File,
        datasets: Sequence[_NamedDataset],
        image: HDF5Image,
        roles: tuple[str, ...],
        others: Choices,
        path: str,
    ) -> None:
        """`image` is what the first dataset is by itself, `roles` those of its axes among the others.

        `others` are datasets that do not belong to it; `path` is that of the file, as it was opened.
        """
        self._roles = roles
        first = datasets[0]
        self._along = {
            role: sorted({one.values[role] for one in datasets}, key=lambda at: (at[0], natural_key(at[1])))
            for role in first.values
        }
        index = {role: {value: i for i, value in enumerate(values)} for role, values in self._along.items()}
        self._paths = {
            PlaneKey(**{role: index[role][value] for role, value in one.values.items()}): one.candidate.path
            for one in datasets
        }
        self.evidence = f"groups and datasets named like {first.candidate.path}, {image.evidence} inside"
        self.info = self._described(file, datasets, image, others, path)

    def levels(self, p: int) -> tuple[Level, ...]:
        """See `Composite.levels`."""
        return (self.info.image(p).level,)

    def address(self, key: PlaneKey, level: int) -> PlaneAddress | None:
        """See `Composite.address`."""
        path = self._paths.get(PlaneKey(**{role: getattr(key, role) for role in self._along}))
        if path is None:
            return None
        at = {role: getattr(key, role) for role in self._roles if role and role in _AXES}
        return PlaneAddress(PartAddress(path, self._roles), at)

    def _described(
        self,
        file: HDF5File,
        datasets: Sequence[_NamedDataset],
        image: HDF5Image,
        others: Choices,
        path: str,
    ) -> DatasetInfo:
        longest = [max(sizes) for sizes in zip(*(one.candidate.facts.shape for one in datasets), strict=True)]
        inside = dataclasses.replace(image, roles=self._roles, shape=tuple(longest))
        info = dataset_info(inside, "", f"{file.name}::{datasets[0].candidate.path}")
        times = tuple(number for number, _ in self._along.get("t", ()))
        if "c" in self._along:
            info = dataclasses.replace(info, channels=colored(map(_channel, self._along["c"])))
        if "p" in self._along:
            named = enumerate(self._along["p"])
            positions = tuple(Position("default", i, name=name) for i, (_, name) in named)
            info = dataclasses.replace(info, positions=positions)
        info = dataclasses.replace(
            info,
            n_t=len(times) or info.n_t,
            n_z=len(self._along.get("z", ())) or info.n_z,
            times=times if times != tuple(range(len(times))) else (),
            choices=(path, *(f"{path}::{each.path}" for each in others.candidates))
            if others.candidates
            else (),
            warnings=(
                *info.warnings,
                *others_warning(file, others, "datasets that differ in numbers as one"),
            ),
        )
        return info.with_images(
            {p: self._image_of(info.image(p), p, datasets) for p in range(len(info.positions))}
        )

    def _image_of(self, common: ImageInfo, p: int, datasets: Sequence[_NamedDataset]) -> ImageInfo:
        """What a position contains, if names tell of several: the times and planes that it has itself."""
        if "p" not in self._along:
            return common
        own = [one for one in datasets if one.values["p"] == self._along["p"][p]]
        sizes = {}
        for role in "tz":
            if role in self._along:
                sizes[role] = 1 + max(self._along[role].index(one.values[role]) for one in own)
            elif role in self._roles:
                sizes[role] = max(one.candidate.facts.shape[self._roles.index(role)] for one in own)
        return dataclasses.replace(common, n_t=sizes.get("t", common.n_t), n_z=sizes.get("z", common.n_z))


def _channel(value: _Value) -> Channel:
    number, name = value
    return Channel(f"Ch{number}" if _NUMBERED.fullmatch(name) else name, "")
