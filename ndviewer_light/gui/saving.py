"""The picture as seen, for the clipboard or a file; or its planes, as a TIFF that ImageJ or OME readers take.

Files are read and written in threads; the outcome is reported on the GUI thread, by `step`.
"""

from __future__ import annotations

import os
from collections import deque
from typing import TYPE_CHECKING

from qtpy.QtCore import QBuffer, QByteArray, QObject
from qtpy.QtWidgets import QApplication

from ..errors import NDViewerError
from ..storage.whole_files import whole_file
from .given_paths import short_name
from .look.save_dialog import SaveDialog
from .slots import safe_slot
from .words import reason_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtpy.QtGui import QImage

    from ..engine.dataset import Dataset
    from .background import Background
    from .canvas.canvas_view import View
    from .stage import Stage

_PICTURE = "Picture as seen (*.png)"
_IMAGEJ = "Planes for ImageJ, full resolution (*.tif)"
_OME = "Planes as OME-TIFF, full resolution (*.ome.tif)"
_LONGEST_TITLE = 80
"""Of the name of a position in the name of a file."""
_ENDINGS = {_PICTURE: ".png", _IMAGEJ: ".tif", _OME: ".ome.tif"}


class Snapshots(QObject):
    """Saves and copies what a stage shows. GUI thread only."""

    def __init__(self, stage: Stage, background: Background, say: Callable[[str, str], None]) -> None:
        super().__init__(stage)
        self._stage = stage
        self._background = background
        self._say = say
        self._done: deque[tuple[str, str]] = deque()  # appended in threads
        self._dialog: SaveDialog | None = None
        self.shows_overview: Callable[[], bool] = lambda: False
        """Whether all fields are shown: then there are no planes in view to be saved."""

    def step(self) -> None:
        """Tell what has been saved, or why not; called by the poll."""
        while self._done:
            self._say(*self._done.popleft())

    def copy(self) -> None:
        """Copy the picture as seen, with what is written on it."""
        if self._stage.dataset is not None:
            QApplication.clipboard().setImage(self._seen())
            self._say("The picture is in the clipboard", "")

    def save(self) -> None:
        """Ask for a file: of the picture as seen, or of the planes in view."""
        dataset = self._stage.dataset
        if dataset is None:
            return
        seen = self._seen()  # before the dialog covers it
        kinds = {_PICTURE: _ENDINGS[_PICTURE]} if self.shows_overview() else _ENDINGS
        dialog = self._dialog = SaveDialog(self._stage.window(), "Save what is shown", kinds, self.name())
        dialog.chosen.connect(safe_slot(lambda path: self.save_to(path, dataset, seen)))
        dialog.open()

    def name(self) -> str:
        """A name for a file of what is shown: "run A1-0 t3 z2", "image t3", "run overview t3"."""
        dataset, view = self._stage.dataset, self._stage.view
        if dataset is None:
            return ""
        info = dataset.info
        name = os.path.splitext(short_name(dataset.path))[0]
        parts = [name.removesuffix(".ome") or "run"]
        if self.shows_overview():
            parts.append("overview")
        elif view.p < len(info.positions) > 1:
            parts.append(info.positions[view.p].title[:_LONGEST_TITLE])
        parts += [f"t{view.t + 1}"] if info.n_t > 1 else []
        z = f"z{view.z + 1}" if view.projection is None else f"z {view.projection.how}"
        parts += [z] if info.n_z > 1 and not view.is_volume else []
        return "".join(letter if letter.isalnum() or letter in " -_." else "-" for letter in " ".join(parts))

    def save_to(self, path: str, dataset: Dataset, seen: QImage) -> None:
        """Save by the ending of the name: .png as seen, .tif and .ome.tif the planes in view."""
        view, channels = self._stage.view, self._stage.visible_channels()
        self._say(f"Saving {os.path.basename(path)}…", path)
        if path.lower().endswith((".tif", ".tiff")):
            self._background.run("ndviewer-save", lambda: self._write(path, dataset, view, channels))
        else:
            self._background.run("ndviewer-save", lambda: self._finish(path, lambda: _save(seen, path)))

    # ---- parts -----------------------------------------------------------------------------

    def _seen(self) -> QImage:
        return self._stage.splitter.picture_room.grab().toImage()

    def _write(self, path: str, dataset: Dataset, view: View, channels: tuple[int, ...]) -> None:
        from ..rendering.tiff_export import write_tiff  # not needed before the window is shown
        from ..rendering.view_picture import ShownPlace, ViewPictures

        def write() -> None:
            z = view.z if view.projection is None else str(view.projection)
            shown = ViewPictures(dataset, channels).pixels(ShownPlace(view.t, view.p, z))
            if not shown.pixels:
                raise ValueError(next(iter(shown.missing.values()), "no channel is on"))
            names = [dataset.info.channels[c].name for c in shown.pixels]
            write_tiff(path, list(shown.pixels.values()), names, shown.um_per_px)

        self._finish(path, write)

    def _finish(self, path: str, write: Callable[[], None]) -> None:
        """In a thread: write, and leave a message about it."""
        try:
            write()
        except (NDViewerError, OSError, ValueError, IndexError) as error:
            self._done.append((f"{os.path.basename(path)} could not be saved: {reason_of(error)}", path))
        else:
            self._done.append((f"Saved {os.path.basename(path)}", path))


def _save(picture: QImage, path: str) -> None:
    encoded, buffer = QByteArray(), QBuffer()  # Qt does not say why a file cannot be written
    buffer.setBuffer(encoded)
    if not picture.save(buffer, "PNG"):
        raise ValueError("the picture is too large for a PNG")
    with whole_file(path) as part, open(part, "wb") as file:
        file.write(encoded.data())
