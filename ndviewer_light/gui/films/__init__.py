"""Films of what is shown: what is asked for, and how they are written."""
