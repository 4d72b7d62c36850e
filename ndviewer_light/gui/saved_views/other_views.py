"""What is kept of a view beside the picture itself: sections, and channels side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...views.saved_view import SavedView
    from ..orthogonal.orthogonal_view import OrthogonalView
    from ..split.split_view import SplitView


class OtherViews:
    """Those of one stage. GUI thread only."""

    def __init__(self, sections: OrthogonalView, split: SplitView) -> None:
        self._sections = sections
        self._split = split

    def added_to(self, view: SavedView) -> SavedView:
        """A view of the picture, with what else is shown of it."""
        area = self._split.area if self._split.is_on else view.area
        return view._replace(sections=self._sections.shown_at, split=self._split.shown_as, area=area)

    def show(self, view: SavedView) -> None:
        """Show a dataset that has just come on screen so, with what the view has and nothing else."""
        self._sections.show_at(view.sections)
        self._split.show_as(view.split, view.area)

    def show_again(self, view: SavedView) -> None:
        """Show what the view has; what is shown already stays."""
        if view.sections is not None:
            self._sections.show_at(view.sections)
        if view.split is not None:
            self._split.show_as(view.split, view.area)
