"""The statistics of a run in the window: colours on the maps of wells and fields, and a plot."""
