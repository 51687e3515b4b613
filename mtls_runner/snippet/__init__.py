"""A message and its place → the lines that a person reads, without secrets."""

from mtls_runner.snippet.masking import MASK, is_secret, without_secrets
from mtls_runner.snippet.rendering import render

__all__ = ["MASK", "is_secret", "render", "without_secrets"]
