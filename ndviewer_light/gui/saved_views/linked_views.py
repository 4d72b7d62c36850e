"""Views that links name: copied, and shown once their dataset is open. GUI thread only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QApplication

from ...storage.bytes import absolute
from ...storage.presentable import presentable
from ...views.view_link import link_to
from .view_memory import view_to_share

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...model import DatasetInfo
    from ...views.saved_view import SavedView
    from ..following.view_follower import ViewFollower
    from ..scene.scene_view import SceneView
    from ..sessions import Session
    from ..stage import Stage
    from .other_views import OtherViews
    from .view_memory import ViewMemory

_LONGEST, _MOST = 40, 3
"""Letters of a name, and names, that are said."""


class LinkedViews:
    """For one stage and its overview; `say` takes a text and its details for the status line."""

    def __init__(self, stage: Stage, scene: Callable[[], SceneView], say: Callable[[str, str], None]) -> None:
        self._stage = stage
        self._scene = scene
        self._say = say
        self.others: OtherViews | None = None
        """What is shown beside the picture or instead of it."""
        self._expected: tuple[str, SavedView] | None = None
        self.lacking = ""
        """What the link that was shown names and the dataset lacks, as a sentence; else empty."""

    def expect(self, path: str, view: SavedView) -> None:
        """Show the dataset at a path so, once it is open."""
        self._expected = path, view

    def forget(self) -> None:
        """Another dataset is opened: none is expected."""
        self._expected = None

    def show(self, session: Session, views: ViewMemory, follower: ViewFollower) -> bool:
        """Show a dataset that has just come on screen as a link said; False if none did.

        Of what the link names and the dataset lacks, `lacking` says so.
        """
        self.lacking = ""
        expected, self._expected = self._expected, None
        if expected is None or expected[0] != session.path:
            return False
        _, view = expected
        views.show_linked(view, session, self._stage, follower)
        self.lacking = lacking(view, session.dataset.info)
        if view.overview is not None:
            self._scene().show_area(view.overview)
        return True

    def copy(self, path: str) -> None:
        """Copy a link to what is shown of the dataset at a path."""
        view = view_to_share(self._stage)
        if view is None or not path:
            self._say("There is no view to link to", "")
            return
        place = absolute(path)
        if self.others is not None:
            view = self.others.added_to(view)
        link = link_to(place, view._replace(overview=self._scene().area))
        QApplication.clipboard().setText(link)
        left_out = "" if presentable(place) == place else ", without the login or signature of its address"
        self._say(f"A link to this view is in the clipboard{left_out}", link)


def lacking(view: SavedView, info: DatasetInfo) -> str:
    """What a view names that a dataset does not have, as a sentence; empty if it has all of it."""
    labels = {position.label for position in info.positions}
    names = {channel.name for channel in info.channels}
    missing = []
    if view.position and view.position not in labels:
        missing.append(f"position {view.position[:_LONGEST]}")
    channels = list(dict.fromkeys(name[:_LONGEST] for name, _ in view.channels if name not in names))
    if channels:
        more = f" and {len(channels) - _MOST} more" if len(channels) > _MOST else ""
        missing.append(f"channel{'s' * (len(channels) > 1)} {', '.join(channels[:_MOST])}{more}")
    indices = (("time point", view.t, info.n_t), ("z plane", view.z, info.n_z))
    missing += [f"{what} {index + 1}" for what, index, n in indices if index >= n]
    return f"The link names what this dataset does not have: {'; '.join(missing)}" if missing else ""
