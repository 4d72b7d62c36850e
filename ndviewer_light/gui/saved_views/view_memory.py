"""Keeps views, and choices for channels, for the next viewer, also of one that is killed; off unless asked.

The view is looked at on the GUI thread, once a second at most; files are read and written in other threads.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from typing import TYPE_CHECKING, Any

from ...errors import MetadataError
from ...storage.bytes import absolute
from ...storage.disk_cache import default_folder
from ...storage.presentable import presentable
from ...storage.small_documents import SmallDocuments
from ...views.saved_view import SavedView, subject_of, view_of
from ..following.follow import FOLLOWED_AXES
from ..interpretation.reading_options import checked_reading

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...model import DatasetInfo
    from ..background import Background
    from ..following.view_follower import ViewFollower
    from ..sessions import Session
    from ..stage import Stage
    from .other_views import OtherViews

_CHOICES = "choices for channels"  # no path
_READING = "reading of "  # and the path
_SAVE_SECONDS = 1.0
"""How often a view that changes is written at most; what a killed viewer may forget."""


class ViewMemory:
    """Views by path. `find` and `find_reading` from any thread; everything else is for the GUI thread."""

    def __init__(self, background: Background, folder: str | None = None) -> None:
        self.enabled = False
        """Whether views are kept, and found."""
        self.others: OtherViews | None = None
        """What is shown beside the picture or instead of it."""
        self._background = background
        self._documents = SmallDocuments(folder or os.path.join(default_folder(), "views"))
        self._saved: SavedView | None = None
        self._choices_found: dict[str, Any] | None = None  # read, to be taken on the GUI thread
        self._choices_saved: dict[str, Any] | None = None
        self._looked = float("-inf")
        self._readings: dict[str, dict[str, str]] = {}  # as chosen by this viewer
        self._lock = threading.Lock()  # guards the following; nothing is called while holding it
        self._unwritten: dict[str, dict[str, Any]] = {}
        self._is_writing = False

    def find(self, path: str) -> SavedView | None:
        """The view that was kept of the dataset at a path or URL; blocks on disk, raises nothing."""
        if self.enabled and self._choices_saved is None:
            self._choices_found = self._documents.get(_CHOICES) or {}
        return view_of(self._documents.get(_key(path))) if self.enabled else None

    def find_reading(self, path: str) -> dict[str, str]:
        """What was chosen for how the dataset at a path is understood, as options; blocks, raises nothing."""
        if not self.enabled:
            return {}
        key = f"{_READING}{_key(path)}"
        chosen = self._readings.get(key)
        return dict(chosen) if chosen is not None else checked_reading(self._documents.get(key))

    def choose_reading(self, path: str, options: Mapping[str, str]) -> None:
        """From now on the dataset at a path is understood so; {}: as it is found."""
        key = f"{_READING}{_key(path)}"
        self._readings[key] = dict(options)
        if self.enabled:
            self._keep({key: dict(options)})

    def restore(self, session: Session, stage: Stage, follower: ViewFollower) -> bool:
        """Show a dataset that has just come on screen as it was left; False if that is not known.

        The dataset as it is now counts: indices that it no longer has are left out.
        """
        saved, info = session.view, session.dataset.info
        self._saved = None
        self._take_choices(stage)
        if saved is None or not self.enabled or saved.subject != subject_of(info):
            return False
        show_saved(saved, stage, follower, info)
        if self.others is not None:
            self.others.show_again(saved)
        self._saved = saved
        return True

    def show_linked(self, linked: SavedView, session: Session, stage: Stage, follower: ViewFollower) -> None:
        """Show a dataset that has just come on screen as a link says."""
        self._saved = None
        self._take_choices(stage)
        show_saved(linked, stage, follower, session.dataset.info, is_linked=True)
        if self.others is not None:
            self.others.show(linked)

    def _take_choices(self, stage: Stage) -> None:
        """Begin with what was chosen for channels when the viewer was last used."""
        found, self._choices_found = self._choices_found, None
        if found is None or self._choices_saved is not None:
            return
        with contextlib.suppress(MetadataError):
            stage.channels.take_remembered(found)
        self._choices_saved = stage.channels.choices.as_json()

    def step(self, session: Session, stage: Stage, follower: ViewFollower, *, at_once: bool = False) -> None:
        """Write the view, unless it was looked at less than a second ago, or has not changed."""
        now = time.monotonic()
        if not self.enabled or session.acquisition is not None or stage.dataset is not session.dataset:
            return
        if now - self._looked < _SAVE_SECONDS and not at_once:
            return
        self._looked = now
        documents = self._new_choices(stage)
        view = _view_on(stage, follower, session.dataset.info)
        if view is not None and self.others is not None:
            view = self.others.added_to(view)
        if view is not None and view != self._saved:
            self._saved = view
            documents[_key(session.path)] = view.as_json()
        if documents:
            self._keep(documents)

    def _keep(self, documents: dict[str, dict[str, Any]]) -> None:
        with self._lock:
            self._unwritten.update(documents)
        self._background.run("ndviewer-view", self._write)

    def _write(self) -> None:
        """One thread at a time: what was kept later is written later."""
        while True:
            with self._lock:
                if self._is_writing or not self._unwritten:
                    return
                self._is_writing = True
                documents, self._unwritten = self._unwritten, {}
            try:
                for key, document in documents.items():
                    self._documents.put(key, document)
            finally:
                with self._lock:
                    self._is_writing = False

    def _new_choices(self, stage: Stage) -> dict[str, dict[str, Any]]:
        """What was chosen for channels since it was last written, as a document by its key."""
        choices = stage.channels.choices.as_json()
        if self._choices_saved is None or choices == self._choices_saved:
            return {}
        self._choices_saved = choices
        return {_CHOICES: choices}


def show_saved(
    saved: SavedView, stage: Stage, follower: ViewFollower, info: DatasetInfo, *, is_linked: bool = False
) -> None:
    """Show what has just come on screen as it was; indices that it does not have are left out."""
    stage.channels.restore(saved.channels, is_lent=is_linked)
    stage.picture.restore(saved.area, saved.sight)
    stage.go_to(**_indices(saved, info))
    stage.show_projection(saved.projection)
    stage.show_volume_as(saved.volume)
    follower.restore(saved.followed, saved.pinned)


def view_to_share(stage: Stage) -> SavedView | None:
    """The view on screen with all that decides how it looks, for somebody else; None while there is none."""
    at, dataset = stage.view, stage.dataset
    if dataset is None or at.p >= len(dataset.info.positions) or not stage.has_picture:
        return None
    info = dataset.info
    return SavedView(
        subject="",
        t=at.t,
        z=at.z,
        position=info.positions[at.p].label,
        followed=frozenset(),
        pinned=frozenset(FOLLOWED_AXES),
        channels=stage.channels.looks(),
        area=stage.picture.area,
        projection=stage.sliders.projection,
        volume=stage.volume_look,
        sight=stage.picture.sight,
    )


def _key(path: str) -> str:
    """What a view is kept under: without logins and signatures, which change."""
    return presentable(absolute(path))


def _view_on(stage: Stage, follower: ViewFollower, info: DatasetInfo) -> SavedView | None:
    """The view on screen; None while there is none."""
    at = stage.view
    if info.dtype is None or at.p >= len(info.positions) or not stage.has_picture:
        return None
    followed = frozenset(follower.rule.followed) if follower.may_grow else frozenset()
    return SavedView(
        subject=subject_of(info),
        t=at.t,
        z=at.z,
        position=info.positions[at.p].label,
        followed=frozenset(followed),
        pinned=frozenset(FOLLOWED_AXES) - follower.rule.followed,
        channels=stage.channels.chosen(),
        area=stage.picture.area,
        projection=stage.sliders.projection,
        volume=stage.volume_look,
        sight=stage.picture.sight,
    )


def _indices(saved: SavedView, info: DatasetInfo) -> dict[str, int]:
    """Where to go, as far as the dataset goes."""
    labels = [position.label for position in info.positions]
    p = labels.index(saved.position) if saved.position in labels else 0
    wanted = {"p": p, "t": saved.t, "z": saved.z}
    return {axis: index for axis, index in wanted.items() if index < info.sizes[axis]}
