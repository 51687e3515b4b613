"""Servers that an ``implementation.yaml`` declares."""
