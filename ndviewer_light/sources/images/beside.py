"""What Micro-Manager writes beside separate images: ``metadata.txt``, with names of channels and steps."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from ...errors import DatasetError
from ...metadata.micromanager import summary_channels, summary_steps
from ...storage.bytes import is_url
from ...storage.limits import read_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...model import Channel
    from ...storage.local_files import LinkGuard

_NAME = "metadata.txt"


def channels_and_steps(
    path: str, links: LinkGuard | None
) -> tuple[tuple[Channel, ...], Mapping[str, float | None]]:
    """The channels, and the steps in µm and s, that are said beside an image; () and {} if nothing is.

    Looks in the folder of the image. While an acquisition runs the file is incomplete: then nothing is said.
    """
    if is_url(path):
        return (), {}
    beside = os.path.join(os.path.dirname(path), _NAME)
    try:
        if links is not None:
            links.check([beside])
        said = read_json(beside)
    except DatasetError:
        return (), {}
    summary: Any = (said or {}).get("Summary")
    if said is None or not isinstance(summary, dict):
        return (), {}
    frame = next((value for key, value in said.items() if key.startswith(("FrameKey", "Metadata-"))), None)
    return summary_channels(summary), {k: v for k, v in summary_steps(summary, frame).items() if v}
