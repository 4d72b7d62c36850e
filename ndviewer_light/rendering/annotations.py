"""What is written on a picture: scale bar, time, position; drawn by Pillow, so that no display is needed."""

from __future__ import annotations

import contextlib
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from .scale_bar import DEFAULT_BAR, BarLook, scale_bar

if TYPE_CHECKING:
    from PIL import Image, ImageDraw

_INK, _PLATE = (245, 246, 248), (0, 0, 0, 165)
_BAR_INKS = {"auto": _INK, "white": (255, 255, 255), "black": (0, 0, 0)}
_SYSTEM_FONTS = ("DejaVuSans.ttf", "LiberationSans-Regular.ttf", "Arial.ttf", "Helvetica.ttc", "segoeui.ttf")
_SMALLEST = 6
_LONGEST_BAR = 0.25  # of the width of the picture


def add_scale_bar(picture: Image.Image, um_per_px: float | None, look: BarLook = DEFAULT_BAR) -> bool:
    """Draw a scale bar at the lower right; False if the pixel size is unknown, or it is to have none."""
    found = scale_bar(um_per_px, picture.width * _LONGEST_BAR * look.share)
    if found is None:
        return False
    length, label = found
    draw, font, size = _tools(picture, label)
    label = _writable(label, font)
    left, top, right, bottom = draw.textbbox((0, 0), label, font=font)
    thick, margin = max(2, round(size / 5)), _margin(picture, size)
    width, height = max(length, right - left) + size, bottom - top + thick + round(1.4 * size)
    x, y = picture.width - margin - width, picture.height - margin - height
    ink = _BAR_INKS[look.color]
    if look.has_plate:
        draw.rectangle((x, y, x + width, y + height), fill=_PLATE)
    draw.text((x + (width - (right - left)) / 2 - left, y + 0.35 * size - top), label, font=font, fill=ink)
    start = round(x + (width - length) / 2)
    under = round(y + height - 0.4 * size)
    draw.rectangle((start, under - thick, start + round(length) - 1, under - 1), fill=ink)
    return True


def add_text(picture: Image.Image, text: str, *, at_bottom: bool = False, beside: int = 0) -> None:
    """Write lines at the upper left, or the lower left, shown literally; right of `beside` px."""
    draw, font, size = _tools(picture, text)
    text = _writable(text, font)
    left, top, right, bottom = draw.multiline_textbbox((0, 0), text, font=font)
    pad, margin = round(0.4 * size), _margin(picture, size)
    lower = picture.height - 2 * margin - (bottom - top) - 2 * pad if at_bottom else 0
    y = margin + max(lower, 0)
    x = margin + beside
    box = (x, y, x + right - left + 2 * pad, y + bottom - top + 2 * pad)
    draw.rectangle(box, fill=_PLATE)
    draw.multiline_text((x + pad - left, y + pad - top), text, font=font, fill=_INK)


def _margin(picture: Image.Image, size: int) -> int:
    """How far a plate is from the edge: less in a picture that has little room."""
    return min(size, picture.width // 16)


def _tools(picture: Image.Image, text: str) -> tuple[ImageDraw.ImageDraw, Any, int]:
    """A pen, a font, and the size of the letters in pixels, which goes with that of the picture.

    Smaller where `text` would not fit, down to what can just be read.
    """
    from PIL import ImageDraw

    draw, wanted = ImageDraw.Draw(picture, "RGBA"), max(10, round(min(picture.size) / 32))
    for size in range(wanted, _SMALLEST, -1):
        left, _, right, _ = draw.multiline_textbbox(
            (0, 0), _writable(text, font_of(size)), font=font_of(size)
        )
        if right - left + size + 2 * _margin(picture, size) <= picture.width:
            return draw, font_of(size), size
    return draw, font_of(_SMALLEST), _SMALLEST


@lru_cache(maxsize=32)
def font_of(size: int) -> Any:
    """A font of the system that has "µ", else Pillow's own, which does not have it."""
    from PIL import ImageFont

    for name in _SYSTEM_FONTS:
        with contextlib.suppress(OSError):
            return ImageFont.truetype(name, size)
    try:
        return ImageFont.load_default(size)
    except TypeError:  # Pillow before 10.1 has one size
        return ImageFont.load_default()


def _writable(text: str, font: Any) -> str:
    """`text` in letters that the font has: "um" where it has no "µ"."""
    try:
        unknown, micro = (bytes(font.getmask(each)) for each in ("\uffff", "µ"))
    except UnicodeError:  # one that knows Latin letters only
        return text.encode("ascii", "replace").decode() if "µ" not in text else text.replace("µ", "u")
    return text.replace("µ", "u") if micro == unknown else text
