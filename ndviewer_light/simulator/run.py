"""The settings of a run, its planes, and the paths they are written to."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ZARR_LAYOUTS = ("per_fov", "hcs", "6d")
TIFF_LAYOUTS = ("images", "stacks", "ome_tiff")
LAYOUTS = (*ZARR_LAYOUTS, *TIFF_LAYOUTS)
CHANNELS = tuple(f"Fluorescence {nm} nm Ex" for nm in (405, 488, 561, 638))
COMPRESSIONS: dict[str, dict[str, Any] | None] = {
    "none": None,
    "fast": {"cname": "lz4", "clevel": 1, "shuffle": "shuffle"},
    "balanced": {"cname": "zstd", "clevel": 3, "shuffle": "bitshuffle"},
    "best": {"cname": "zstd", "clevel": 9, "shuffle": "bitshuffle"},
}
CHUNKS = {"full": "full_frame", "512": "tiled_512", "256": "tiled_256"}
DTYPES = (*(f"{kind}{bits}" for kind in ("uint", "int") for bits in (8, 16, 32, 64)), "float32", "float64")
TIFF_DTYPES = ("uint8", "uint16")
IMAGE_FORMATS = ("tiff", "tif", "bmp", "png")
COLOURS = {405: "20ADF8", 488: "1FFF00", 561: "FFCF00", 638: "FF0000", 730: "770000"}  # Squid's own


class WrittenPlane(NamedTuple):
    """One plane of a run. `fov` counts over all regions, `local_fov` within its region."""

    t: int
    fov: int
    local_fov: int
    region_idx: int
    z: int
    channel: str


@dataclass(frozen=True)
class Run:
    """A simulated acquisition, written into the experiment folder `folder`.

    `fovs` is the number of fields of view per region, 0 for a region that is announced but not visited; in
    layout "hcs" the regions are wells ("A1"). `height` and `width` in px, `dt_s` in s, `dz_um` and
    `pixel_size_um` in µm. `blank` lists planes that are all zero, by their index in acquisition order; Zarr
    stores nothing for those. `skip_t` lists time points that are left out; they still count in that index.
    Numbers in file and folder names are zero-padded to `padding` digits. `image_format` applies to 8-bit
    images; 16-bit ones always end in "tiff". Images of channels with "RGB" in their name are in colour, and
    those of `in_colour`.

    Raises
    ------
    ValueError
        if the settings contradict each other; the message says which.
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
    skip_t: tuple[int, ...] = ()
    padding: int = 0
    image_format: str = "tiff"
    in_colour: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, allowed in _CHOICES.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} is {getattr(self, name)!r}: expected one of {', '.join(allowed)}")
        if len(self.regions) != len(self.fovs) or len(set(self.regions)) != len(self.regions):
            raise ValueError(
                f"fovs {self.fovs}, regions {self.regions}: give one count per region, and distinct names"
            )
        if min(self.n_t, self.n_z, self.height, self.width, len(self.channels), sum(self.fovs)) < 1:
            raise ValueError("all counts and sizes must be at least 1")
        if min(self.fovs) < (self.layout == "6d"):
            raise ValueError(f"fovs {self.fovs}: each must be at least 0, and at least 1 in layout 6d")
        if self.layout == "hcs" and len({well_of(region) for region in self.regions}) != len(self.regions):
            raise ValueError(f"regions {self.regions} name the same well twice")
        if self.sharded and (self.height % self.chunk_shape[0] or self.width % self.chunk_shape[1]):
            raise ValueError(
                f"compression {self.compression!r} needs height and width in multiples of {self.chunks} px"
            )
        if not self.is_zarr:
            self._check_tiff()

    def _check_tiff(self) -> None:
        if self.dtype not in TIFF_DTYPES:
            raise ValueError(
                f"dtype is {self.dtype!r}: layout {self.layout} supports only {' or '.join(TIFF_DTYPES)}"
            )
        if self.layout != "images" and any("RGB" in channel for channel in self.channels):
            raise ValueError(f"layout {self.layout} cannot store RGB channels: use layout images")
        if len({sanitised(channel) for channel in self.channels}) != len(self.channels):
            raise ValueError(
                f"channels {self.channels} would have the same file names: choose more distinct names"
            )

    @property
    def is_zarr(self) -> bool:
        """Whether planes go to OME-Zarr stores rather than TIFF or other image files."""
        return self.layout in ZARR_LAYOUTS

    @property
    def is_plate(self) -> bool:
        """Whether the regions are wells selected on a plate."""
        if self.is_zarr:
            return self.layout == "hcs"
        return all(re.fullmatch(r"[A-Z]+\d+", region) for region in self.regions)

    def is_color(self, channel: str) -> bool:
        """Whether the planes of a channel are RGB images: (Y, X, 3) uint8."""
        return self.layout == "images" and ("RGB" in channel or channel in self.in_colour)

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
        """Whether chunks are grouped into shards of all channels ("balanced" and "best", if several)."""
        one_chunk = len(self.channels) == 1 and self.chunk_shape == (self.height, self.width)
        return self.compression in ("balanced", "best") and not one_chunk

    @property
    def planes_per_t(self) -> int:
        """Number of planes per time point."""
        return sum(self.fovs) * self.n_z * len(self.channels)

    def planes(self) -> Iterator[WrittenPlane]:
        """Every plane in acquisition order: time, region, FOV, z, channel."""
        fields = [(r, i) for r, n in enumerate(self.fovs) for i in range(n)]
        for t in sorted({*range(self.n_t)} - {*self.skip_t}):
            for fov, (region_idx, local) in enumerate(fields):
                for z in range(self.n_z):
                    for channel in self.channels:
                        yield WrittenPlane(t, fov, local, region_idx, z, channel)

    def time_folder(self, t: int) -> Path:
        """The folder of a time point, which exists in every layout."""
        return self.folder / self._padded(t)

    def image_path(self, plane: WrittenPlane) -> Path:
        """The file of one plane in layout "images"; the host announces this path in every TIFF layout."""
        is_16_bit = self.dtype != "uint8" and not self.is_color(plane.channel)
        numbers = f"{self._padded(plane.local_fov)}_{self._padded(plane.z)}"
        name = f"{self.regions[plane.region_idx]}_{numbers}_{sanitised(plane.channel)}"
        return self.time_folder(plane.t) / f"{name}.{'tiff' if is_16_bit else self.image_format}"

    def stack_path(self, plane: WrittenPlane) -> Path:
        """The file with all planes of an FOV at one time point (layout "stacks")."""
        return self.time_folder(plane.t) / f"{self._base_name(plane)}_stack.tiff"

    def ome_tiff_path(self, plane: WrittenPlane) -> Path:
        """The file with all planes of an FOV (layout "ome_tiff")."""
        return self.folder / "ome_tiff" / f"{self._base_name(plane)}.ome.tiff"

    def _base_name(self, plane: WrittenPlane) -> str:
        return f"{self.regions[plane.region_idx]}_{self._padded(plane.local_fov)}"

    def _padded(self, number: int) -> str:
        return str(number).zfill(self.padding)

    def _fov_path(self, region: str, fov: int) -> Path:
        if self.layout == "hcs":
            row, column = well_of(region)
            return self.folder / "plate.ome.zarr" / row / column / str(fov)
        return self.folder / "zarr" / region / f"fov_{fov}.ome.zarr"


_CHOICES = {"layout": LAYOUTS, "compression": tuple(COMPRESSIONS), "chunks": tuple(CHUNKS), "dtype": DTYPES}
_CHOICES["image_format"] = IMAGE_FORMATS


def well_of(region: str) -> tuple[str, str]:
    """Row and column of a well: "B12" → ("B", "12")."""
    match = re.fullmatch(r"([A-Za-z]+)(\d+)", region)
    if match is None:
        raise ValueError(f"region {region!r} is not a well: layout hcs needs names like A1 or AB12")
    return match[1].upper(), match[2]


def sanitised(name: str) -> str:
    """A channel name as Squid writes it in file names."""
    return re.sub(r'[\s/\\:*?"<>|]+', "_", name)


def excitation_nm(channel: str) -> int | None:
    match = re.search(r"(\d{3,4})[ _]*nm", channel)
    return int(match[1]) if match else None
