"""Clients that an ``implementation.yaml`` declares."""
