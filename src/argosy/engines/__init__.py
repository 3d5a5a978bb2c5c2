"""Engines: what generates. One file per engine, one row each in catalog.py, one contract test for all."""
