"""Following the newest planes, and finding the missing ones."""
