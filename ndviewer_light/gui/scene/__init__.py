"""All fields of the dataset at their places: the whole run at a glance, zoomed to single pixels."""
