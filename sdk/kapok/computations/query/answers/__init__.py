"""What the analyst computes after aggregation: values, the functions on them, formulas."""
