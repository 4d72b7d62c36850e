"""What is known of the position in view, and so how far the sliders go. Nothing is read here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..model import how_many
from ..rendering.place_words import name_of
from .view_texts import counted, height_of, planes_text, time_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..engine.dataset import Dataset
    from ..model import DatasetInfo, ImageInfo
    from .panels.sliders import AxisSliders


class PositionInView:
    """The position at which the sliders are. GUI thread only."""

    def __init__(self, sliders: AxisSliders, recorded_of: Callable[[int], float | None]) -> None:
        """`recorded_of(t)`: when a time point was acquired, in s, if that is known."""
        self._sliders = sliders
        self._recorded_of = recorded_of
        self._asked: dict[str, int] = {}  # indices beyond the sizes known when they were asked for
        self.dataset: Dataset | None = None
        """None while nothing is shown."""
        self.info: DatasetInfo | None = None
        """What is known of the dataset, as the sliders show it."""
        self.image: ImageInfo | None = None
        """What the position contains; None while that is not known."""

    @property
    def n_z(self) -> int:
        """How many planes the stack has, as far as is known."""
        facts = self.image or self.info
        return facts.n_z if facts is not None else 1

    def show(self, dataset: Dataset) -> None:
        """Begin at the first plane of a dataset, or at the position that it names."""
        self.dataset, self.info = dataset, dataset.info
        self._asked.clear()
        for axis in ("t", "z", "p"):
            self._sliders.set_index(axis, 0)
        self._sliders.begin_anew()
        if self.info.first_position:
            self._sliders.set_sizes({"p": len(self.info.positions)})
            self._sliders.set_index("p", self.info.first_position)
        self.image = self._known_image()
        self._take_sizes()

    def clear(self) -> None:
        """Nothing is shown."""
        self.dataset = self.info = self.image = None

    def take_info(self, info: DatasetInfo) -> bool:
        """Apply new metadata; whether the position has another index now."""
        before, self.info = self.info, info
        has_moved = self._stay(before, info)
        self.image = self._known_image()
        self._take_sizes()
        return has_moved

    def _stay(self, before: DatasetInfo | None, info: DatasetInfo) -> bool:
        """Keep the position in view where others were inserted before it, as wells of a plate are."""
        p = self._sliders.index("p")
        if before is None or before.positions is info.positions or p >= len(before.positions):
            return False
        label = before.positions[p].label
        if p < len(info.positions) and info.positions[p].label == label:
            return False
        labels = [position.label for position in info.positions]
        if label not in labels:
            return False
        self._sliders.set_sizes({"p": len(labels)})
        self._sliders.set_index("p", labels.index(label))
        return True

    def move_to(self, axis: str, index: int) -> None:
        """Move along t or z: later, if a position that was not looked at yet turns out to have so many."""
        self._sliders.set_index(axis, index)
        if index != self._sliders.index(axis):
            self._asked[axis] = index

    def forget_move(self, axis: str) -> None:
        """The user has moved along this axis: what was asked for before does not count any more."""
        self._asked.pop(axis, None)

    def take_position(self) -> bool:
        """Another position: take what is known of it; whether the sizes are those of another image.

        The rest comes with its first frame.
        """
        self._asked.clear()
        if self.dataset is None:
            return False
        image = self._known_image()
        if image is not None and image == self.image:
            return False
        self.image = image
        self._take_sizes()
        return True

    def take_image(self) -> bool:
        """Apply what has become known of the position by reading it; whether anything has."""
        assert self.dataset is not None
        image = self._known_image()
        asked = self._asked if self.dataset.has_looked_at(self._sliders.index("p")) else {}
        if image is None or (image == self.image and not asked):
            return False
        self.image = image
        self._take_sizes()
        for axis, index in asked.items():
            self._sliders.set_index(axis, index)
        asked.clear()
        return True

    def _known_image(self) -> ImageInfo | None:
        """What the position contains; not looked up here, since that may block."""
        return self.dataset.known_image(self._sliders.index("p")) if self.dataset is not None else None

    # ---- the sliders -----------------------------------------------------------------------

    def _take_sizes(self) -> None:
        assert self.info is not None and self.dataset is not None
        info, image, sliders = self.info, self.image, self._sliders
        n_z = self.n_z
        n_t = info.n_t if image is None or self.dataset.live else info.n_times(image)
        step = None if image is None else image.z_step_um
        sliders.set_sizes({"t": n_t, "z": n_z, "p": len(info.positions)})
        sliders.set_value_text("t", lambda i: counted(i, n_t, self._time_text(i, image)))
        sliders.set_value_text("z", lambda i: self._z_text(i, n_z, step))
        sliders.set_value_text("p", lambda i: self._position_text(info, i))

    def _time_text(self, t: int, image: ImageInfo | None) -> str:
        return "" if image is None else time_of(t, image, self._recorded_of(t))

    def _z_text(self, z: int, n_z: int, step_um: float | None) -> str:
        control = self._sliders.projection_control
        if control.is_volume or self._sliders.projection is not None:
            return planes_text(control.planes, n_z, step_um)
        return counted(z, n_z, height_of(z, step_um))

    def _position_text(self, info: DatasetInfo, p: int) -> str:
        """A position and how many there are; not which of them: fields are named by numbers of their own."""
        in_group = self._sliders.group_size("p")
        n = len(info.positions) if in_group is None else in_group
        return f"{name_of(info.positions[p])}   {how_many(n, 'field')}"


def built_on(info: DatasetInfo, *, is_3d: bool) -> tuple[object, ...]:
    """What cannot change any more once the canvas is built: of the first image, and of all together.

    A stack may grow while one of its planes is in view, as a file does to which pages are appended.
    """
    first = info.groups[0]
    return (
        info.channels,
        *({image.dtype: None for image in info.groups}),
        first.height,
        first.width,
        first.pixel_size_um,
        first.pixel_size_y_um,
        first.z_step_um,
        first.n_z if is_3d else None,
    )
