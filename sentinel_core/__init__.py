"""SentinelML: the core of a real-time card-fraud detection platform."""

__version__ = "0.1.0"
