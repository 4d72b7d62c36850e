"""The nouns: frozen data shared by every part of the program; numpy only.

Axes are always ``t p c z y x`` (time, position, channel, z, row, column); an axis a dataset
does not have has size 1.
"""

from .announced_run import AnnouncedRun, announced_info
from .channel import (
    RGB_COLORS,
    Channel,
    ChannelPart,
    all_channels,
    channel_in,
    channel_name,
    channel_parts,
    channels_shown,
    colored,
    colours_together,
    find_channel,
    in_known_colours,
)
from .dataset_info import DatasetInfo, ImageInfo
from .interpretation import Interpretation
from .label_facts import LabelFacts, Rgba
from .level import MANY_PLANES, Level, Offset, Scale, Sizes
from .names import how_many, natural_key, natural_sorted, some_names
from .placed_warning import PlacedWarning, WarningPlace, place_of
from .plane import AXES, Plane, PlaneKey, PlaneState, Region, StackKey
from .plane_statistics import PERCENTILES, PlaneStatistics, detector_top, saturated_fraction
from .position import Position

__all__ = [
    "AXES",
    "MANY_PLANES",
    "PERCENTILES",
    "RGB_COLORS",
    "AnnouncedRun",
    "Channel",
    "ChannelPart",
    "DatasetInfo",
    "ImageInfo",
    "Interpretation",
    "LabelFacts",
    "Level",
    "Offset",
    "PlacedWarning",
    "Plane",
    "PlaneKey",
    "PlaneState",
    "PlaneStatistics",
    "Position",
    "Region",
    "Rgba",
    "Scale",
    "Sizes",
    "StackKey",
    "WarningPlace",
    "all_channels",
    "announced_info",
    "channel_in",
    "channel_name",
    "channel_parts",
    "channels_shown",
    "colored",
    "colours_together",
    "detector_top",
    "find_channel",
    "how_many",
    "in_known_colours",
    "natural_key",
    "natural_sorted",
    "place_of",
    "saturated_fraction",
    "some_names",
]
