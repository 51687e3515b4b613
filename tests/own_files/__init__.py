"""Odd files, and what the lab and the bare programs make of them: they must agree. ``python -m tests.own_files``."""
