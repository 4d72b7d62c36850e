"""Views of datasets as data: what of one is kept for the next time, and sent as a link; no Qt."""
