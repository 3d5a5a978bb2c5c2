"""Adapters to and from processes of FastChat: old workers behind our door, our workers at an old controller."""
