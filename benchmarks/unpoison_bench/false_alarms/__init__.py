"""A benchmark that looks for harm done to clean data: many sets without poison, and the same kinds with it."""
