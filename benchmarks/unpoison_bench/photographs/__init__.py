"""A benchmark of photographs that are poisoned, found and repaired at their own size."""
