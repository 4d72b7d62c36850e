"""ilastik and vigra: the attribute "axistags" of a dataset names its axes, in their stored order.

Source: vigra's ``AxisTags.toJSON`` and ``vigra.impex.writeHDF5``, which ilastik's exports use: a JSON object
``{"axes": [{"key": "t", "typeFlags": 8, "resolution": 0, "description": ""}, …]}``.
"""

from __future__ import annotations

from ...errors import DatasetError
from ...storage.limits import parse_json

AXISTAGS = "axistags"
_MAX_AXES = 32


def axis_names(tags: object) -> tuple[str, ...] | None:
    """The names of all axes from the value of the attribute; None if it is not what vigra writes."""
    if not isinstance(tags, str):
        return None
    try:
        listed = parse_json(tags.encode(), AXISTAGS).get("axes")
    except DatasetError:
        return None
    if not isinstance(listed, list) or len(listed) > _MAX_AXES:
        return None
    keys = [each.get("key") if isinstance(each, dict) else None for each in listed]
    return tuple(key if isinstance(key, str) else "" for key in keys)
