"""The composition roots of gateway, controller and worker: from settings to objects that know each other.

Each `run_…` owns its process: its event loop, signals, log and exit code. Nothing else in Argosy makes these choices.
"""
