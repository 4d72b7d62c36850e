"""Views that links name: copied, and shown once their dataset is open. GUI thread only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QApplication

from ...storage.bytes import absolute
from ...storage.presentable import presentable
from .view_link import link_to
from .view_memory import view_to_share

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..following.view_follower import ViewFollower
    from ..sessions import Session
    from ..stage import Stage
    from .saved_view import SavedView
    from .view_memory import ViewMemory


class LinkedViews:
    """For one stage; `say` takes a text and its details for the status line."""

    def __init__(self, stage: Stage, say: Callable[[str, str], None]) -> None:
        self._stage = stage
        self._say = say
        self._expected: tuple[str, SavedView] | None = None

    def expect(self, path: str, view: SavedView) -> None:
        """Show the dataset at a path so, once it is open."""
        self._expected = path, view

    def forget(self) -> None:
        """Another dataset is opened: none is expected."""
        self._expected = None

    def show(self, session: Session, views: ViewMemory, follower: ViewFollower) -> bool:
        """Show a dataset that has just come on screen as a link said; False if none did."""
        expected, self._expected = self._expected, None
        if expected is None or expected[0] != session.path:
            return False
        path, view = expected
        views.show_linked(view, session, self._stage, follower)
        labels = {position.label for position in session.dataset.info.positions}
        if view.position and view.position not in labels:
            self._say(f"The link names {view.position[:40]}, which is not in this dataset", path)
        return True

    def copy(self, path: str) -> None:
        """Copy a link to what is shown of the dataset at a path."""
        view = view_to_share(self._stage)
        if view is None or not path:
            self._say("There is no view to link to", "")
            return
        place = absolute(path)
        link = link_to(place, view)
        QApplication.clipboard().setText(link)
        left_out = "" if presentable(place) == place else ", without the login or signature of its address"
        self._say(f"A link to this view is in the clipboard{left_out}", link)
