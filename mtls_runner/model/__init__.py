"""Resolved nouns: standard library only, frozen, no I/O."""
