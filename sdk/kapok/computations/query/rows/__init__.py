"""What is computed of one row: typed terms with bounds, and their SQL for each engine."""
