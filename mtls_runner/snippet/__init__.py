"""A message and its place → the lines that a person reads, without secrets."""

from mtls_runner.snippet.masking import MASK, discreet, without_secrets
from mtls_runner.snippet.rendering import render
from mtls_runner.snippet.secret_words import is_secret

__all__ = ["MASK", "discreet", "is_secret", "render", "without_secrets"]
