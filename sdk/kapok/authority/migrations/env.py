"""Alembic's way in."""

from kapok.persistence import run_environment

run_environment()
