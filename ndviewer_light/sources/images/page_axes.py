"""The pages inside files whose names tell the rest: which axes they have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...errors import UnsupportedError

if TYPE_CHECKING:
    from ...model import PlaneKey
    from .catalogue import FileCatalogue
    from .file_reader import Sample

_ROLE_OF_AXIS = {"T": "t", "Z": "z", "C": "c"}


@dataclass(frozen=True)
class PageAxes:
    """The axes of the pages of a file, as roles of a plane's key with sizes, slowest first."""

    roles: tuple[str, ...] = ()
    sizes: tuple[int, ...] = ()

    def size(self, role: str) -> int:
        """How many pages there are along an axis; 1 if it is not one of theirs."""
        return self.sizes[self.roles.index(role)] if role in self.roles else 1

    def page(self, key: PlaneKey) -> int:
        """The page of a plane."""
        page = 0
        for role, size in zip(self.roles, self.sizes, strict=True):
            page = page * size + getattr(key, role)
        return page

    def of_file(self, key: PlaneKey) -> PlaneKey:
        """The key without the axes inside the file."""
        return key._replace(**dict.fromkeys(self.roles, 0))


def page_axes_of(sample: Sample, catalogue: FileCatalogue, planned_z: int = 0) -> PageAxes:
    """The axes of the pages of a file: from the file, else those not in its name, z first.

    `planned_z`: the planes that stacks are to have, of which some files may have fewer.
    """
    free = [role for role in ("z", "t", "c") if role not in catalogue.roles]
    known = {_ROLE_OF_AXIS[axis] for axis in sample.axes if axis in _ROLE_OF_AXIS}
    roles = []
    for axis in sample.axes:
        role = _ROLE_OF_AXIS.get(axis, "")
        if role not in free:
            role = next((each for each in free if each not in known), "")
        if not role:
            raise UnsupportedError(
                f"the file names and the {sample.axes} pages inside the files both define time, channel and z"
            )
        free.remove(role)
        roles.append(role)
    if planned_z > 1 and roles in ([], ["z"]) and "z" not in catalogue.roles:
        return PageAxes(("z",), (max((planned_z, *sample.sizes)),))
    return PageAxes(tuple(roles), sample.sizes)
