"""Hosts: thin translations between the world's events or bytes and the core's values."""
