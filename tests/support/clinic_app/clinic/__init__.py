"""Linear regression over clinics' rows."""
