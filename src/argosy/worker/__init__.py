"""The worker: one process that hosts one replica. It starts the replica's engine, watches it, tells the gateways."""
