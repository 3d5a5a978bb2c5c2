"""What this machine has for replicas: GPUs, cores, memory, and who uses them."""
