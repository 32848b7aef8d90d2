"""The contests: each one kind of work, twfs and its peers at it in turns."""
