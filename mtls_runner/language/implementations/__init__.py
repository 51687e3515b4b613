"""Declarations of servers and clients (``implementation.yaml``) and of dialects: read, checked, found."""
