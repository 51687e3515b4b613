"""A message and its place → the lines that a person reads, without secrets."""

from mtls_runner.snippet.masking import is_secret, without_secrets
from mtls_runner.snippet.rendering import render

__all__ = ["is_secret", "render", "without_secrets"]
