"""Detection and restoration meet: what the flagged images share, found in their pixels (trigger inversion)."""
