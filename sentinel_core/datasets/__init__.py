"""Rows from files: column maps, reading, cleaning, validation and immutable snapshots."""
