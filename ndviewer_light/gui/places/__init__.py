"""Wells and fields: which belong together, where the view is, where to go."""
