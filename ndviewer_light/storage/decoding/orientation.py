"""The tag "Orientation" of TIFF and Exif, by which viewers of photographs turn pictures.

Here pictures are as they are stored, as tifffile and ImageJ show them: pixels are where scripts find them.
What the tag says is said in a warning.
"""

from __future__ import annotations

ORIENTATION = 274
UPRIGHT = 1
_TURNS = {
    2: "mirrored from left to right",
    3: "turned by 180°",
    4: "mirrored from top to bottom",
    5: "mirrored along its diagonal",
    6: "turned by 90° clockwise",
    7: "mirrored along its other diagonal",
    8: "turned by 90° counterclockwise",
}


def orientation_said(value: object) -> str:
    """What is to be said of a picture whose tag has this value; "" of an upright one."""
    turn = _TURNS.get(value, "") if isinstance(value, int) else ""
    return f"the tag Orientation says that the picture is to be {turn}; it is shown as stored" if turn else ""
