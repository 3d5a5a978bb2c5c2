"""The gateway's table of who serves what now."""
