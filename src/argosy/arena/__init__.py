"""Battles of two models whose names are not told, votes, ratings, and their store."""
