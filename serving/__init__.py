"""The scoring service and the recorder: HTTP in, decisions out, every event on its way to PostgreSQL."""
