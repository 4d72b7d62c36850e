"""Pictures of fields as Qt draws them, bounded in memory, and what is known of each field."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt
from qtpy.QtGui import QImage

from ...rendering.scene_picture import edge_for
from .scene_painting import Marks, faded, field_rect

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ...engine.scene import FieldScene, Viewport
    from .field_pictures import FieldPicture
    from .scene_details import DetailTile

IMAGES_BYTES = 128 * 1024**2
"""Of pictures in memory, beside those in view."""
_COARSE_PX = 48
_MUCH_LARGER = 4
"""A picture that is so many times larger than it is drawn is made smaller; thumbnails are up to that."""
_SEEN_THROUGH = QImage.Format.Format_ARGB32_Premultiplied


class FieldImages:
    """By position: a picture, parts of it at finer resolutions, labels, and marks. GUI thread only."""

    def __init__(self) -> None:
        self.coarse: dict[int, int] = {}
        """Longest edges of pictures that were made coarser: they are made again where one looks closer."""
        self._images: dict[int, QImage] = {}
        self._nbytes = 0
        self._marks: dict[int, Marks] = {}
        self._details: dict[int, list[tuple[DetailTile, QImage]]] = {}
        self._labels: dict[int, list[tuple[DetailTile, QImage]]] = {}
        self._blended: dict[int, QImage] = {}

    def __len__(self) -> int:
        """How many fields have a picture."""
        return len(self._images)

    @property
    def nbytes(self) -> int:
        """What the pictures take in memory."""
        return self._nbytes

    def image(self, p: int) -> QImage | None:
        """The picture of a field, if there is one."""
        return self._images.get(p)

    def marks(self, p: int) -> Marks | None:
        """What is known of a field."""
        return self._marks.get(p)

    def is_anything_known(self, p: int) -> bool:
        """Whether anything is drawn of a field, beside the ground of its well."""
        return p in self._marks or p in self._images or p in self._details or p in self._labels

    def details(self, p: int) -> Sequence[tuple[DetailTile, QImage]]:
        """Parts of a field at a finer resolution."""
        return self._details.get(p, ())

    def labels(self, p: int) -> Sequence[tuple[DetailTile, QImage]]:
        """Pictures of the labels of a field, with opacities, of parts of it."""
        return self._labels.get(p, ())

    def as_drawn(self, scene: FieldScene, viewport: Viewport, p: int) -> QImage | None:
        """The picture of a field, not much larger than it is drawn: else a painter takes single pixels."""
        image = self._images.get(p)
        if image is None:
            return None
        rect = field_rect(scene, viewport, p)
        drawn, longest = max(rect.width(), rect.height()), max(image.width(), image.height())
        if longest <= _COARSE_PX or longest < _MUCH_LARGER * drawn:
            return image
        return self._make_coarser(p, max(edge_for(drawn), _COARSE_PX))

    def blended(self, scene: FieldScene, p: int, image: QImage) -> QImage:
        """The picture of a field, transparent towards the edges where it lies on earlier ones."""
        known = self._blended.get(p)
        if known is None:
            known = self._blended[p] = faded(image, scene.overlaps_of(p))
        return known

    def clear(self) -> None:
        """Nothing is known of any field."""
        self._images.clear()
        self._nbytes = 0
        self.coarse.clear()
        self._blended.clear()
        self._marks.clear()
        self._details.clear()
        self._labels.clear()

    def take(self, pictures: Iterable[FieldPicture]) -> list[int]:
        """Keep these, and return whose they are.

        A field without picture keeps its old one, dimmed, if it has one.
        """
        changed = []
        for each in pictures:
            before = self._marks.get(each.p)
            has_old = before is not None and before.is_old and each.p in self._images
            if each.pixels is not None:
                self._keep(each.p, _as_image(each.pixels))
                self.coarse.pop(each.p, None)
                self._details.pop(each.p, None)
                self._blended.pop(each.p, None)
                has_old = False
            elif not has_old:
                self._keep(each.p, None)
            self._marks[each.p] = Marks(each.state, each.reason, is_old=has_old)
            changed.append(each.p)
        return changed

    def age(self) -> None:
        """Another time point: all pictures are old until their own arrive."""
        self._details.clear()
        self._labels.clear()
        self._marks = {p: Marks(None, "", is_old=True) for p in self._images}

    def set_details(self, p: int, tiles: list[DetailTile]) -> None:
        """Keep these parts of a field at a finer resolution, and drop the previous ones that are not among
        them.
        """
        known = dict(self._details.get(p, ()))
        self._details[p] = [(tile, known.get(tile) or _as_image(tile.pixels)) for tile in tiles]

    def drop_details(self, keep: Iterable[int] = ()) -> None:
        """Forget parts at finer resolutions, but those of the fields to `keep`."""
        kept = set(keep)
        self._details = {p: tiles for p, tiles in self._details.items() if p in kept}

    def set_labels(self, p: int, tiles: Sequence[DetailTile]) -> None:
        """Keep the labels of a field instead of the previous ones; (Y, X, 4) as `SceneLabels.take` has
        them.
        """
        known = dict(self._labels.get(p, ()))
        self._labels[p] = [(tile, known.get(tile) or _as_image(tile.pixels, _SEEN_THROUGH)) for tile in tiles]

    def drop_labels(self, keep: Iterable[int] = ()) -> list[int]:
        """Forget labels, but those of the fields to `keep`; returns whose they were."""
        kept = set(keep)
        dropped = [p for p in self._labels if p not in kept]
        for p in dropped:
            del self._labels[p]
        return dropped

    def make_room(self, scene: FieldScene, viewport: Viewport) -> None:
        """Keep pictures that are not in view only coarsely, those made longest ago first."""
        if self._nbytes <= IMAGES_BYTES:
            return
        in_view = set(scene.within(viewport.edges).tolist())
        for p in [p for p in self._images if p not in in_view and p not in self.coarse]:
            if self._nbytes <= IMAGES_BYTES * 3 // 4:
                return
            self._make_coarser(p, _COARSE_PX)

    def _make_coarser(self, p: int, edge: int) -> QImage:
        """Keep the picture of a field with this longest edge at most: averages over its pixels."""
        image = self._images[p]
        longest = max(image.width(), image.height())
        if longest > edge:
            smooth = Qt.TransformationMode.SmoothTransformation
            smaller = image.scaled(edge, edge, Qt.AspectRatioMode.KeepAspectRatio, smooth)
            image = smaller.convertToFormat(QImage.Format.Format_RGB32)
            self._keep(p, image)
            self._blended.pop(p, None)
        self.coarse[p] = min(longest, edge)
        return image

    def _keep(self, p: int, image: QImage | None) -> None:
        before = self._images.pop(p, None)
        self._nbytes -= 0 if before is None else _nbytes(before)
        if image is not None:
            self._images[p] = image
            self._nbytes += _nbytes(image)


def _nbytes(image: QImage) -> int:
    return int(image.bytesPerLine()) * int(image.height())


def _as_image(pixels: Any, kind: QImage.Format = QImage.Format.Format_RGB32) -> QImage:
    """A picture (Y, X, 4) for Qt, which keeps a copy."""
    height, width = pixels.shape[:2]
    return QImage(pixels.data, width, height, 4 * width, kind).copy()
