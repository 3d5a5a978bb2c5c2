"""The page: its files as `make web` or the wheel's build made them, ready to be sent."""
