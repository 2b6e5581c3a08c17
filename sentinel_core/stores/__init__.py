"""PostgreSQL and Redis: what happened, and what the hot path needs to know of it."""
