"""The embedded server: Python's ``ssl`` in threads of the lab's own process."""
