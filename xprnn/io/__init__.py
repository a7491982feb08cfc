"""The outside world: files, and other frameworks' weights."""
