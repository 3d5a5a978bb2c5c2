"""HTTP/1.1 as a client, small and fast: connections, pools, server-sent events. A leaf: knows nothing of fleets."""
