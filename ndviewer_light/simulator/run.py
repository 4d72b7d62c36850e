"""What is acquired: the settings of a run, its planes and where they are written."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LAYOUTS = ("per_fov", "hcs", "6d")
CHANNELS = tuple(f"Fluorescence {nm} nm Ex" for nm in (405, 488, 561, 638))
COMPRESSIONS: dict[str, dict[str, Any] | None] = {
    "none": None,
    "fast": {"cname": "lz4", "clevel": 1, "shuffle": "shuffle"},
    "balanced": {"cname": "zstd", "clevel": 3, "shuffle": "bitshuffle"},
    "best": {"cname": "zstd", "clevel": 9, "shuffle": "bitshuffle"},
}
CHUNKS = {"full": "full_frame", "512": "tiled_512", "256": "tiled_256"}
DTYPES = (*(f"{kind}{bits}" for kind in ("uint", "int") for bits in (8, 16, 32, 64)), "float32", "float64")
COLOURS = {405: "20ADF8", 488: "1FFF00", 561: "FFCF00", 638: "FF0000", 730: "770000"}  # Squid's own


class WrittenPlane(NamedTuple):
    """One plane of a run: time, flat FOV index over all regions, FOV index in its region, …, channel name."""

    t: int
    fov: int
    local_fov: int
    region_idx: int
    z: int
    channel: str


@dataclass(frozen=True)
class Run:
    """An acquisition to be written into `folder`, the experiment folder.

    `fovs` counts the fields of view of each region; in layout "hcs" the regions are wells ("A1").
    `height` and `width` in px, `dt_s` in s, `dz_um` and `pixel_size_um` in µm. `blank` names planes,
    by their place in the order of acquisition, that are all zero; zarr stores nothing for those.

    Raises
    ------
    ValueError
        if the values do not fit together; the message says which.
    """

    folder: Path
    layout: str = "hcs"
    regions: tuple[str, ...] = ("A1", "A2", "B1")
    fovs: tuple[int, ...] = (4, 6, 3)
    channels: tuple[str, ...] = CHANNELS
    n_t: int = 3
    n_z: int = 3
    height: int = 1024
    width: int = 1024
    dtype: str = "uint16"
    compression: str = "fast"
    chunks: str = "full"
    seed: int = 0
    dt_s: float = 10.0
    dz_um: float = 1.5
    pixel_size_um: float = 0.325
    blank: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for name, allowed in _CHOICES.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} is {getattr(self, name)!r}: expected one of {', '.join(allowed)}")
        if len(self.regions) != len(self.fovs) or len(set(self.regions)) != len(self.regions):
            raise ValueError(f"fovs {self.fovs} for regions {self.regions}: one count each, names distinct")
        if min((*self.fovs, self.n_t, self.n_z, self.height, self.width, len(self.channels)), default=0) < 1:
            raise ValueError("every count and size must be at least 1")
        if self.layout == "hcs" and len({well_of(region) for region in self.regions}) != len(self.regions):
            raise ValueError(f"regions {self.regions} name one well twice")
        if self.sharded and (self.height % self.chunk_shape[0] or self.width % self.chunk_shape[1]):
            raise ValueError(f"{self.compression!r} needs height and width in multiples of {self.chunks} px")

    @cached_property
    def fov_labels(self) -> list[str]:
        """``"<region>:<index in the region>"`` of every FOV, in flat order."""
        return [f"{region}:{i}" for region, n in zip(self.regions, self.fovs, strict=True) for i in range(n)]

    @cached_property
    def fov_paths(self) -> list[str]:
        """The OME-Zarr group of every FOV, in flat order (layouts "hcs" and "per_fov")."""
        pairs = zip(self.regions, self.fovs, strict=True)
        return [str(self._fov_path(region, i)) for region, n in pairs for i in range(n)]

    @cached_property
    def region_paths(self) -> list[str]:
        """The 6-D array of every region (layout "6d")."""
        return [str(self.folder / "zarr" / region / "acquisition.zarr") for region in self.regions]

    @property
    def chunk_shape(self) -> tuple[int, int]:
        """Rows and columns of one chunk."""
        return (self.height, self.width) if self.chunks == "full" else (int(self.chunks), int(self.chunks))

    @property
    def sharded(self) -> bool:
        """Whether chunks lie in shards of all channels ("balanced", "best"; a shard of one chunk is none)."""
        one_chunk = len(self.channels) == 1 and self.chunk_shape == (self.height, self.width)
        return self.compression in ("balanced", "best") and not one_chunk

    def planes(self) -> Iterator[WrittenPlane]:
        """Every plane in the order of acquisition: time, region, FOV, z, channel."""
        fields = [(r, i) for r, n in enumerate(self.fovs) for i in range(n)]
        for t in range(self.n_t):
            for fov, (region_idx, local) in enumerate(fields):
                for z in range(self.n_z):
                    for channel in self.channels:
                        yield WrittenPlane(t, fov, local, region_idx, z, channel)

    def _fov_path(self, region: str, fov: int) -> Path:
        if self.layout == "hcs":
            row, column = well_of(region)
            return self.folder / "plate.ome.zarr" / row / column / str(fov)
        return self.folder / "zarr" / region / f"fov_{fov}.ome.zarr"


_CHOICES = {"layout": LAYOUTS, "compression": tuple(COMPRESSIONS), "chunks": tuple(CHUNKS), "dtype": DTYPES}


def well_of(region: str) -> tuple[str, str]:
    """Row and column of a well: "B12" → ("B", "12")."""
    match = re.fullmatch(r"([A-Za-z]+)(\d+)", region)
    if match is None:
        raise ValueError(f"region {region!r} is no well: layout hcs needs names like A1 or AB12")
    return match[1].upper(), match[2]


def excitation_nm(channel: str) -> int | None:
    match = re.search(r"(\d{3,4})[ _]*nm", channel)
    return int(match[1]) if match else None
