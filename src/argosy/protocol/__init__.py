"""The wire between Argosy's processes and to its clients: data only, no I/O, no decisions."""
