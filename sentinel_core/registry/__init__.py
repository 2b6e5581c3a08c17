"""The model bundle and where it lives: MLflow runs, versions, stages and aliases, and the way back."""
