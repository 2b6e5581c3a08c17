"""Benchmarks: speed, memory and quality, measured and written as JSON; never a test with a clock in it."""
