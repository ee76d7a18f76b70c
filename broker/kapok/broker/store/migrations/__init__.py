"""How the broker's tables came to be: an Alembic folder, run by `kapok.persistence.open_database`."""
