"""Planes from servers are read once: the next time they come from disk, unless they have changed."""

from __future__ import annotations

import numpy as np
import pytest
from memory_source import MemorySource

from ndviewer_light.errors import PlaneNotStoredError
from ndviewer_light.model import PlaneKey
from ndviewer_light.sources.disk_cached import DiskCachedSource, open_disk_cached
from ndviewer_light.storage.disk_cache import DiskCache

K = PlaneKey(t=1, c=2)


class NamedSource(MemorySource):
    """What is in memory, as if a server had said which version it is."""

    version: str | None = "first"

    @property
    def identity(self) -> str | None:
        return self.version


@pytest.fixture
def cache(tmp_path):
    return DiskCache(tmp_path / "cache")


def test_a_plane_is_read_once_however_often_the_dataset_is_opened(cache):
    source = NamedSource()
    source.write(K, 7)
    first = DiskCachedSource(source, cache).read_plane(K)
    again = DiskCachedSource(source, cache).read_plane(K)
    np.testing.assert_array_equal(first, again)
    assert source.reads == [K]


def test_what_has_changed_is_read_again(cache):
    source = NamedSource()
    source.write(K, 7)
    kept = DiskCachedSource(source, cache)
    kept.read_plane(K)
    source.version = "second"
    source.write(K, 8)
    assert kept.read_plane(K).max() == 8


def test_without_a_name_for_its_version_nothing_is_kept(cache):
    source = NamedSource()
    source.version = None
    source.write(K, 7)
    for _ in range(2):
        DiskCachedSource(source, cache).read_plane(K)
    assert source.reads == [K, K]


def test_levels_and_planes_are_told_apart(cache):
    source = NamedSource()
    kept = DiskCachedSource(source, cache)
    for value, key in enumerate((PlaneKey(), PlaneKey(c=1), PlaneKey(t=1)), start=1):
        source.write(key, value)
        assert kept.read_plane(key).max() == value
    assert kept.read_plane(PlaneKey()).max() == 1


def test_a_plane_that_is_not_stored_is_not_kept(cache):
    source = NamedSource()
    kept = DiskCachedSource(source, cache)
    with pytest.raises(PlaneNotStoredError):
        kept.read_plane(K)
    source.write(K, 3)
    assert kept.read_plane(K).max() == 3


def test_local_data_is_never_kept(tmp_path, monkeypatch):
    import tifffile

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    tifffile.imwrite(tmp_path / "image.tif", np.ones((8, 8), np.uint16))
    source = open_disk_cached(str(tmp_path / "image.tif"))
    source.read_plane(PlaneKey())
    assert not isinstance(source, DiskCachedSource)
    assert not (tmp_path / "cache").exists()
    source.close()
