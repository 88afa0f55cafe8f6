"""Measures what the numbers of `unpoison.rules` are compared with, on clean data and on poisoned data."""
