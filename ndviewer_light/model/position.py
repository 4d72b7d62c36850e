"""One field of view."""

from __future__ import annotations

from typing import NamedTuple


class Position(NamedTuple):
    """One field of view; a tuple, because a plate has ten thousand of them.

    `region` is a well ("A1") or a free name ("manual0"), `fov` the index within it; the stage
    coordinates are in µm, if known. `name` is what the dataset itself calls the field ("pos3",
    "001007"), "" if it gives no name. `acquisition` is the name of the plate's acquisition that it
    belongs to (else its id), "" if the plate has only one.
    """

    region: str
    fov: int
    x_um: float | None = None
    y_um: float | None = None
    z_um: float | None = None
    name: str = ""
    acquisition: str = ""

    @property
    def label(self) -> str:
        """``"A1:0"``: used by hosts to navigate."""
        return f"{self.region}:{self.fov}"

    @property
    def title(self) -> str:
        """What is shown to the user: the label, with the name as written where that says more.

        ``"A1:pos3"`` for the field "pos3" of a well; a region that is no more than a placeholder is left out.
        """
        name = self.name
        if name in ("", str(self.fov), f"fov_{self.fov}", self.region, self.label):
            return self.label
        if self.region not in _PLACEHOLDERS:
            return name if name.startswith(self.region) else f"{self.region}:{name}"
        return self.label if self.is_unnamed else name

    @property
    def is_unnamed(self) -> bool:
        """Whether neither region nor name is more than a number."""
        return self.region in _PLACEHOLDERS and (not self.name or self.name.isdecimal())

    def __repr__(self) -> str:
        where = (("x_um", self.x_um), ("y_um", self.y_um), ("z_um", self.z_um))
        known = "".join(f", {name}={value:g}" for name, value in where if value is not None)
        named = f", name={self.name!r}" if self.title != self.label else ""
        of = f", acquisition={self.acquisition!r}" if self.acquisition else ""
        return f"Position({self.label!r}{known}{named}{of})"


_PLACEHOLDERS = frozenset(("default", "series", "P"))
"""Regions that stand for "the dataset names none"."""
