"""From a model's name to a lease on one of its replicas."""
