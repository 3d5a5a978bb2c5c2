"""The door: the OpenAI-compatible surface, and the fleet's own beside it."""
