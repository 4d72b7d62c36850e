"""Opens a dataset again as a person says it is to be understood, and remembers that by path.

GUI thread only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject
from qtpy.QtWidgets import QInputDialog, QWidget

from ...storage.presentable import presentable
from ..slots import safe_slot
from .reading_options import permission_missing, reading_of, with_reading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ...model import DatasetInfo
    from ..saved_views.view_memory import ViewMemory
    from ..sessions import Session
    from .read_as_button import ReadAsButton

_PATTERN_HELP = "How the files are named, for example img_t{t:d}_{c}_z{z:d}.png:"
_AXES_HELP = "All axes, slowest first: t time, p positions, c channels, z, y, x, s samples of colours:"
_PAGES_HELP = (
    "What its pages are along, slowest first: T time, Z, C channels, P positions.\n"
    "Several with their lengths, as T12 Z5 or T Z5 C2:"
)


class ReadAs(QObject):
    """What the button offers, and what a choice does: `reopen(path, options)`."""

    def __init__(
        self,
        button: ReadAsButton,
        window: QWidget,
        memory: ViewMemory,
        reopen: Callable[[str, Mapping[str, str]], None],
    ) -> None:
        super().__init__(window)
        self._button = button
        self._window = window
        self._memory = memory
        self._reopen = reopen
        self._session: Session | None = None
        self._permission = ""
        self.dialog: QInputDialog | None = None
        button.chosen.connect(self._on_chosen)
        button.other_wanted.connect(self._on_other)
        button.allowed.connect(self.allow)

    def show(self, session: Session | None) -> None:
        """Offer what else the dataset on screen may be; nothing of a run that a host has announced."""
        if session is not None and session.acquisition is not None:
            session = None
        if session is not self._session:
            self._session, self._permission = session, ""
        if session is None:
            self._button.offer((), {}, "")
            return
        info, options = session.dataset.info, session.dataset.storage_options
        self._permission = self._permission or permission_missing(info.warnings)
        permission = "" if options.get(self._permission) else self._permission
        now = reading_of(options)
        self._button.offer(info.interpretations, now, permission, "" if now else _in_words(info))

    def note_failures(self, reasons: Iterable[str]) -> None:
        """Planes cannot be read for these reasons: perhaps because they are in files that need permission."""
        if self._session is not None and not self._permission:
            self._permission = permission_missing(reasons)
            if self._permission:
                self.show(self._session)

    @safe_slot
    def allow(self, option: str) -> None:
        """Let the dataset on screen name other files, until it is opened the next time."""
        session = self._session
        if session is not None:
            self._reopen(session.path, {**session.dataset.storage_options, option: "yes"})

    @safe_slot
    def _on_chosen(self, options: dict[str, str]) -> None:
        session = self._session
        if session is None or options == reading_of(session.dataset.storage_options):
            return
        self._memory.choose_reading(session.path, options)
        self._reopen(session.path, with_reading(session.dataset.storage_options, options))

    @safe_slot
    def _on_other(self) -> None:
        session = self._session
        if session is None:
            return
        now = reading_of(session.dataset.storage_options)
        helps = {"images": _PATTERN_HELP, "tiff": _PAGES_HELP}
        form = session.dataset.info.format
        dialog = self.dialog = QInputDialog(self._window)
        dialog.setWindowTitle(f"Read {presentable(session.path)} as")
        dialog.setLabelText(helps.get(form, _AXES_HELP))
        name = "pattern" if form == "images" else "axes"
        dialog.setTextValue(now.get(name, ""))
        dialog.textValueSelected.connect(lambda text: self._on_text(name, text))
        dialog.open()

    @safe_slot
    def _on_text(self, name: str, text: str) -> None:
        self._on_chosen({name: text.strip()} if text.strip() else {})


def _in_words(info: DatasetInfo) -> str:
    """What the axes of a dataset are: "12 channels, 5 z planes"."""
    sizes = (
        (info.n_t, "time points"),
        (len(info.positions), "positions"),
        (len(info.channels), "channels"),
        (info.n_z, "z planes"),
    )
    return ", ".join(f"{n} {what}" for n, what in sizes if n > 1)
