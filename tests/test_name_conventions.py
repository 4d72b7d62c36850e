"""How instruments and programs name their files: what the names mean, and what real folders show."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from ndviewer_light.sources.images.catalogue import FileCatalogue
from ndviewer_light.sources.images.layouts import understood
from ndviewer_light.sources.images.patterns import Pattern
from tests.name_conventions import CASES

if TYPE_CHECKING:
    from tests.name_conventions import Case


@pytest.mark.parametrize("case", CASES, ids=[case.convention for case in CASES])
def test_names_mean_what_their_writers_mean(case: Case) -> None:
    names = list(case.names)
    random.Random(1).shuffle(names)
    layout = understood(names).layout
    assert layout is not None
    assert layout.sizes == case.full_sizes
    assert sorted(layout.left_out) == sorted(case.left_out)
    assert bool(layout.doubts) == case.is_doubtful
    catalogue = FileCatalogue()
    catalogue.add((fields, name) for name, fields in layout.fields.items())
    assert not catalogue.doubles and len(catalogue.files) == len(names) - len(case.left_out)
    if case.channels:
        assert tuple(catalogue.channel_names()) == case.channels
    labels = tuple(position.label for position in catalogue.positions)
    assert labels[: len(case.positions)] == case.positions
    assert not case.z or tuple(catalogue.z) == case.z
    assert not case.times or tuple(catalogue.times) == case.times


@pytest.mark.parametrize("case", CASES, ids=[case.convention for case in CASES])
def test_the_pattern_that_is_told_gives_the_same(case: Case) -> None:
    """What `--pattern` takes is what was understood."""
    layout = understood(list(case.names)).layout
    assert layout is not None
    again = Pattern(layout.pattern.text)
    assert {name: fields for name in case.names if (fields := again.read(name)) is not None} == layout.fields
    if case.is_doubtful:
        other = Pattern(layout.other)
        assert all(other.read(name) is not None for name in layout.fields)
        assert [other.read(name) for name in layout.fields] != list(layout.fields.values())
