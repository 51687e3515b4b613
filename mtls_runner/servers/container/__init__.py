"""Containers on a local Docker Engine; nothing outside this package knows the ``docker`` package.

:mod:`engine` runs them, :mod:`connection` finds the engine, :mod:`files` is what goes in, :mod:`log_stream` what comes out,
:mod:`owner` tells the leftovers of a dead run from a live one's. Nothing is imported here: ``docker`` is slow to load.
"""
