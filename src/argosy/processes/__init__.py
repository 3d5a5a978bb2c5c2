"""Operating-system processes: who one is (pid and start time), how to start one detached, when to start one again.

A leaf: the worker, the controller and the command line all stand on it.
"""
