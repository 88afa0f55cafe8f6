"""BaB's verification: our own trigger, the models that learn it, and what their answers say about each sample."""
