"""Argosy: many language models on your machines behind one OpenAI-compatible door."""

__version__ = "0.1.0"
