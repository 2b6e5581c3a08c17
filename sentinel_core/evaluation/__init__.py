"""How good a score is: metrics, user-clustered intervals, curves. Arrays in, figures out."""
