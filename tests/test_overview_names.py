"""Where the names of wells are written in the overview."""

from __future__ import annotations

import pytest

from ndviewer_light.engine.scene import Viewport
from ndviewer_light.rendering.scene_names import place_of_name

VIEW = Viewport(500, 500, 1.0, 1000, 1000)  # from 0 to 1000 µm, at 1 µm per pixel


@pytest.mark.parametrize(
    ("edges", "place"),
    [
        ((200, 300, 280, 380), (203, 303)),
        ((200, -50, 280, 60), (203, 21)),  # below the names of columns
        ((-30, 300, 80, 380), (23, 303)),  # beside the names of rows
        ((200, -90, 280, 20), None),  # a strip of it: the name would lie on the well below
        ((-70, 300, 10, 380), None),
        ((200, 300, 280, 310), (203, 303)),  # a flat one is named nevertheless
    ],
)
def test_a_name_is_in_its_well_or_left_out(edges, place):
    assert place_of_name(edges, VIEW, is_plate=True) == place
