"""PNGs by imagecodecs are what they are by Pillow, and damaged ones are said in the same words."""

from __future__ import annotations

import io
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from ndviewer_light.errors import DatasetError
from ndviewer_light.storage.decoding import pictures


def usual_pngs() -> dict[str, bytes]:
    """PNGs of each kind that imagecodecs decodes, and of kinds that it would make something else of."""
    rng = np.random.default_rng(0)
    kinds = {
        "L": ("u1", ()),
        "LA": ("u1", (2,)),
        "RGB": ("u1", (3,)),
        "RGBA": ("u1", (4,)),
        "I;16": ("u2", ()),
    }
    found = {}
    for mode, (dtype, more) in kinds.items():
        pixels = rng.integers(0, np.iinfo(dtype).max, (40, 50, *more)).astype(dtype)
        image = Image.fromarray(pixels)
        see_through = {"L": 3, "RGB": (1, 2, 3)}.get(mode)
        for name, options in ((mode, {}), (f"{mode} tRNS", {"transparency": see_through})):
            if options.get("transparency", 0) is not None:
                image.save(data := io.BytesIO(), "png", **options)
                found[name] = data.getvalue()
    Image.fromarray(rng.integers(0, 255, (40, 50)).astype("u1")).convert("P").save(
        data := io.BytesIO(), "png"
    )
    return {**found, "P": data.getvalue()}


@pytest.mark.parametrize("kind", usual_pngs())
def test_pngs_are_the_same_with_and_without_imagecodecs_also_damaged_ones(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = usual_pngs()[kind]
    rng = np.random.default_rng(1)
    cut = [data[: int(n)] for n in rng.integers(8, len(data), 40)]
    flipped = [data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :] for at in rng.integers(8, len(data), 80)]
    wanted = [data, *cut, *flipped]

    def said() -> list[tuple[str, object]]:
        answers: list[tuple[str, object]] = []
        for each in wanted:
            try:
                pixels = pictures.decoded(each, "a.png")
                answers.append((str(pixels.dtype), pixels.tolist()))
            except DatasetError as error:
                answers.append((type(error).__name__, str(error)))
        return answers

    by_imagecodecs = said()
    monkeypatch.setattr(pictures, "_usual_png", lambda data: None)
    assert said() == by_imagecodecs


def test_an_intact_png_is_decoded_without_pillow() -> None:
    """Which would hold up all other threads, 64 KiB by 64 KiB."""
    code = (
        "import sys; from ndviewer_light.storage.decoding.pictures import decoded; "
        "assert decoded(sys.stdin.buffer.read(), 'a.png').shape == (40, 50, 3); "
        "assert 'PIL' not in sys.modules"
    )
    pytest.importorskip("imagecodecs")
    subprocess.run([sys.executable, "-c", code], input=usual_pngs()["RGB"], check=True)
