"""What the window says about a run: how far it is, how late planes come, what went wrong."""
