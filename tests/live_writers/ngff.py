"""The OME-NGFF metadata of the stores that are written here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .plan import COLOURS

if TYPE_CHECKING:
    from .plan import Plan


def multiscales(plan: Plan, axes: str = "tczyx") -> dict[str, Any]:
    """``multiscales`` and ``omero`` of an image whose only level is "0"."""
    kinds = {"t": ("time", "second"), "c": ("channel", None), **dict.fromkeys("zyx", ("space", "micrometer"))}
    named = [{"name": axis, "type": kinds[axis][0], "unit": kinds[axis][1]} for axis in axes]
    scale = [{"t": 1.0, "c": 1.0, "z": 1.5}.get(axis, 0.325) for axis in axes]
    dataset = {"path": "0", "coordinateTransformations": [{"type": "scale", "scale": scale}]}
    window = {"start": 0, "end": 4095, "min": 0, "max": 65535}
    channels = [
        {"label": name, "color": colour, "active": True, "window": window}
        for name, colour in zip(plan.channels, COLOURS, strict=False)
    ]
    return {
        "multiscales": [
            {
                "name": "live",
                "axes": [{k: v for k, v in axis.items() if v is not None} for axis in named],
                "datasets": [dataset],
            }
        ],
        "omero": {"channels": channels},
    }


def group_attributes(plan: Plan, version: int, axes: str = "tczyx") -> dict[str, Any]:
    """The attributes of the image's group: NGFF 0.4 in zarr v2, 0.5 in v3."""
    said = multiscales(plan, axes)
    if version == 3:
        return {"ome": {"version": "0.5", **said}}
    said["multiscales"][0]["version"] = "0.4"
    return said
