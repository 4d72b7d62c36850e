"""The vocabulary of file names: markers of numbers, names of channels and samples. Data only."""

from __future__ import annotations

import re

UNITS = {
    **dict.fromkeys(("um", "µm", "μm", "micron", "microns", "mm"), "z"),
    **dict.fromkeys(
        ("s", "sec", "secs", "msec", "min", "mins", "h", "hr", "hrs", "hours", "day", "days"), "t"
    ),
    **dict.fromkeys(("hpf", "dpf", "hpi", "dpi"), "t"),
}
"""Units behind a number, and what the number counts; times after fertilisation or infection."""
CONCENTRATIONS = frozenset(("pM", "nM", "uM", "UM", "µM", "μM", "mM", "M", "ng", "ug", "µg", "mg"))
"""Units of doses, in which upper and lower case differ: "uM" is no length."""

LONG_TIMES = ("day", "cycle", "hpf", "hour")
"""Words for what goes before a time point, where names have both: the second frame of the third day."""

MARKERS = {
    **dict.fromkeys(("t", "tp", "time", "timepoint", "timepoints", "frame", "fr", "sk", "tl", "tm"), "t"),
    **dict.fromkeys(("cycle", "cyc", "round", "day", "hour", "hpf", "loop", "zeit", "temps"), "t"),
    **dict.fromkeys(("c", "ch", "chan", "chn", "channel", "w", "wv", "wave", "wavelength", "filter"), "c"),
    **dict.fromkeys(("kanal", "canal"), "c"),
    **dict.fromkeys(("z", "zpos", "slice", "zslice", "zstack", "zstep", "zplane", "plane", "depth"), "z"),
    **dict.fromkeys(("section", "sec", "focus", "ebene", "schicht"), "z"),
    **dict.fromkeys(("f", "fov", "fld", "field", "s", "site", "series", "scene", "xy", "p", "pos"), "fov"),
    **dict.fromkeys(("position", "point", "m", "tile", "view", "roi"), "fov"),
    **dict.fromkeys(("angle", "ang", "rot", "sh", "cm", "illum", "stagepos", "st"), "fov"),
    **dict.fromkeys(("x", "y"), "fov"),
    **dict.fromkeys(
        ("well", "region", "reg", "tilescan", "chamber", "dish", "slide", "fish", "embryo", "mouse"), "region"
    ),
    **dict.fromkeys(
        ("animal", "plant", "donor", "patient", "organoid", "worm", "larva", "replicate", "rep"), "region"
    ),
    **dict.fromkeys(("plate",), "plate"),
}
"""Words before a number, and what the number counts."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


SAMPLE_WORDS = _words(
    "sample specimen run exp experiment trial subject core cell colony spheroid neuron clone coverslip probe "
    "cam camera"
)
"""Words before a number that counts samples or views, where something else in the names counts as well."""


_CHANNEL_WORDS = _words(
    "dapi hoechst gfp egfp yfp eyfp cfp ecfp rfp bfp tagbfp mcherry mscarlet mruby dsred tdtomato fitc tritc "
    "cy3 cy5 cy7 texas texasred alexa fluor af atto sytox draq5 draq7 phalloidin actin tubulin dna rna er "
    "agp mito mitotracker lysotracker nucleus nuclei membrane golgi cherry pi propidium iodide gcamp "
    "bf brightfield bright darkfield df phase contrast dic pc ph trans transmitted tl pmt led epi "
    "fluorescence red green blue yellow orange cyan magenta purple white far farred nir uv violet grey gray"
)
CHANNELS_OF_WORDS = re.compile(
    r"(?<![A-Za-z0-9])(?:Fluorescence[_ ][0-9]{3}[_ ]nm[_ ]Ex|Alexa(?:[_ ]?Fluor)?[_ ][0-9]{3}"
    r"|[BD]F[_ ]LED[_ ]matrix(?:[_ ](?:full|(?:left|right|top|bottom)[_ ](?:half|dot)|low[_ ]NA))?)"
    r"(?:_(?:RGB|[RGB]))?(?![A-Za-z0-9])"
)
"""Channels, as Squid and others call them, whose names are cut where names of files are."""
_ANTIGEN = re.compile(r"cd[0-9]{1,3}[a-z]?", re.IGNORECASE)
_WAVELENGTH = re.compile(r"[a-z]*[ _-]?[3-9][0-9]{2}(?:nm|ex|em)?", re.IGNORECASE)
_PLACE_WORDS = _words(
    "control ctrl ctl treated untreated treatment mock vehicle dmso drug wt wildtype ko knockout het mutant "
    "sirna shrna healthy disease patient normal tumor tumour stimulated unstimulated stim unstim before "
    "after left right top bottom sample"
)
_CUT = re.compile(r"[^A-Za-z0-9]+")


def is_channel_word(text: str) -> bool:
    """Whether a text contains a dye, a colour, a wavelength or a contrast."""
    if _WAVELENGTH.fullmatch(text) or _ANTIGEN.fullmatch(text) or text.lower() in _CHANNEL_WORDS:
        return True
    words = [word for word in _CUT.split(text.lower()) if word]
    return any(
        word in _CHANNEL_WORDS or word.rstrip("0123456789") in _CHANNEL_WORDS or _WAVELENGTH.fullmatch(word)
        for word in words
        if not word.isdecimal() or _WAVELENGTH.fullmatch(word)
    )


def is_place_word(text: str) -> bool:
    """Whether a text describes a treatment or a sample."""
    return any(word.rstrip("0123456789") in _PLACE_WORDS for word in _CUT.split(text.lower()))
