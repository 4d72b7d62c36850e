"""Controls around the picture: sliders, channel strips, histogram."""
