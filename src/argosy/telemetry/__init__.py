"""What Argosy tells of itself: log lines, events, metrics. A leaf: any room may use it."""
