"""Tables of the authority's register, as Alembic migrations."""
