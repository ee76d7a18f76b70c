"""What a holder does not show: suppression, and what must be hidden with it."""
