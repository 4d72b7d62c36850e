"""What fills the widget: a dataset, or a message instead."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QStackedWidget

from ..storage.presentable import presentable
from .interpretation.reading_options import permission_missing
from .parts_ahead import part_made
from .sessions import Opening, Watching
from .windows.message_page import MessagePage

if TYPE_CHECKING:
    from .stage import Stage
    from .words import Explanation


class ScreenPages(QStackedWidget):
    """The stage and the page for messages. GUI thread only."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self.message = part_made(MessagePage)
        self._stage = stage
        self._no_display = ""  # why the canvas cannot be displayed, "" if it can
        self.addWidget(self.message)
        self.addWidget(stage)

    @property
    def is_stage(self) -> bool:
        """Whether a dataset is shown."""
        return self.currentWidget() is self._stage

    def show_stage(self) -> None:
        """Show the dataset; where no canvas can be displayed, why."""
        self.setCurrentWidget(self._stage)
        if self._no_display:
            self.show_no_display(self._no_display)

    def show_no_display(self, reason: str) -> None:
        """From now on, no canvas can be displayed."""
        self._no_display = reason
        self.message.show_message("error", "The canvas cannot be displayed", reason)
        self.setCurrentWidget(self.message)

    def show_opening(self, opening: Opening) -> None:
        """A dataset is being opened, or waited for."""
        headline = "Waiting for a dataset" if isinstance(opening, Watching) else "Opening"
        self.message.show_message("busy", headline, presentable(opening.path), cancel="Cancel")
        self.setCurrentWidget(self.message)

    def explain_failure(self, opening: Opening, reason: str, why: Explanation, *, can_go_back: bool) -> None:
        """The opening that is shown has failed."""
        place = presentable(opening.path)
        self.message.show_message(
            "error",
            "This dataset could not be opened" if place else "Nothing was opened",
            why.sentence if place in why.sentence else f"{why.sentence}\n{place}",
            details=why.details,
            retry=bool(opening.path),
            can_open=True,
            permission=permission_missing((reason, why.details)),
            cancel="Back" if can_go_back else "",
        )

    def show_empty_run(self) -> None:
        """A run was announced of which there is nothing to show."""
        self.message.show_message(
            "info", "Nothing to show", "The acquisition was announced without positions, channels or planes."
        )
        self.setCurrentWidget(self.message)

    def show_nothing_open(self) -> None:
        """Nothing was opened yet."""
        self.message.show_message(
            "info", "No dataset open", "Open a dataset, or start an acquisition.", can_open=True
        )
        self.setCurrentWidget(self.message)
