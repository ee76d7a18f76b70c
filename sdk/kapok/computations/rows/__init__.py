"""What is computed of one row: typed terms with public bounds, and their SQL for each engine."""
