"""Repair of images that are larger than the working copy: triggers are fitted again, and taken off, at full size."""
