"""Each channel in a pane of its own, at one place and zoom, beside all of them together."""
