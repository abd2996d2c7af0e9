"""The pricing LLM and the chains built on it."""
