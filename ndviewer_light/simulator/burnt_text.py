"""Text burnt into the pixels of a plane: drawing it and reading it back."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Our own 5×7 font: seven base-36 digits per letter, 35 bits by row from the top left.
LETTERS = " ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789abcdefghijklmnopqrstuvwxyz/:_-.()+%#,=?&'"
_BITS = (
    "000000076cqm29f2h64ou76btkxaf2gwzzyfjnuginfjnugi876byipa8nmknjl6ywdqq63hg6vrg8o8aez585aef4v8t8nepd"
    "8s4nmlt76cgs32f2h63v476cgv9pf2h672p7nj2numfcs3z448nmatke8nmatdw8nmdq418nho7qp8nho2o4fb2xk4f77izyge"
    "25rf3wu76299gffbo44z2131183mfjw0eni33a2mumfb2xjwo76ceo8e76cf0i4008rorz85j5sfy00928tq0ikyn8v00939xq"
    "33p0f0o08mm5ny85ebm0h1z8onf20zmcc3w85bqcuq5zdtpqm00gnk8h00e8dv50092ywe0gyabdc08mm5nl00e8d1s009ony6"
    "42zopba00aye7h00aydz800ayhey00at6q909qkj7200je7mn0icl5ao02aeqo0000000v000lrsw00000b011vmdfm40bf9fs"
    "02b0igwcpupzlf53o4fuy00009l400jde687626cqs67fl4r121e0lq8"
)
_CODES = {letter: int(_BITS[7 * i : 7 * i + 7], 36) for i, letter in enumerate(LETTERS)}
_POWERS = 2 ** np.arange(34, -1, -1, dtype=np.int64)
_CELL_H, _CELL_W = 9, 6  # a letter with its margins, in dots


def _dot_and_columns(height: int, width: int) -> tuple[int, int]:
    """Pixels per dot of a letter, and letters per line, for a plane of this size."""
    dot = max(1, min(height, width) // 256)
    return dot, (width // dot - 1) // _CELL_W


@lru_cache(maxsize=256)
def _text_dots(text: str, columns: int) -> NDArray[np.bool_]:
    """`text` in lines of `columns` letters as lit dots; unknown letters become "?"."""
    lines = [text[i : i + columns] for i in range(0, len(text), columns)]
    dots = np.zeros((len(lines) * _CELL_H, 1 + _CELL_W * len(lines[0])), bool)
    for row, line in enumerate(lines):
        for column, letter in enumerate(line):
            lit = (_CODES.get(letter, _CODES["?"]) & _POWERS) > 0
            y, x = row * _CELL_H + 1, 1 + column * _CELL_W
            dots[y : y + 7, x : x + 5] = lit.reshape(7, 5)
    return dots


def burn(pixels: NDArray[np.int16], text: str, slot: int, levels: tuple[int, int]) -> None:
    """Draw `text` at the top left, cut to fit, `slot` lines down if there is room.

    So in an overlay each channel has its own line. `levels`: grey levels of the box and of the letters.
    """
    dark, bright = levels
    dot, columns = _dot_and_columns(*pixels.shape)
    rows = pixels.shape[0] // dot // _CELL_H
    if columns > 0 and rows > 0:
        dots = _text_dots(text[: columns * rows], columns).repeat(dot, axis=0).repeat(dot, axis=1)
        top = slot * dots.shape[0] if (slot + 1) * dots.shape[0] <= pixels.shape[0] else 0
        box = pixels[top : top + dots.shape[0], : dots.shape[1]]
        box[:] = np.where(dots, np.int16(bright), np.int16(dark))


def read_burnt_text(plane: NDArray[Any]) -> str:
    """The ``t/region:fov/z/channel`` burnt into a whole plane (Y, X) or (Y, X, 3); "" if there is none.

    Planes of at least 96×96 px have room for any usual name; in smaller ones its end may be cut off.
    """
    sample = np.asarray(plane) if plane.ndim == 2 else np.asarray(plane)[..., 0]
    dot, columns = _dot_and_columns(*sample.shape)
    lit = sample[dot // 2 :: dot, dot // 2 :: dot] != np.min(sample)
    letters = {code: letter for letter, code in _CODES.items()}
    text = ""
    for y in range(1, lit.shape[0] - _CELL_H + 2, _CELL_H):
        for x in range(1, 1 + columns * _CELL_W, _CELL_W):
            letter = letters.get(int(lit[y : y + 7, x : x + 5].ravel() @ _POWERS))
            if letter is None:  # beside the text, where everything is brighter than its box
                break
            text += letter
    return text.rstrip()
