"""What the widgets look like: theme, icons, labels."""
