"""Databases: an empty one of the origin, and what has nothing in it, not even tables."""

from __future__ import annotations

import uuid

import psycopg
import pytest
from sqlalchemy import make_url

from eurydice_core.db.engine import Database
from eurydice_core.model.states import Side


@pytest.fixture
def database(database_url):
    """An origin's database, of each kind."""
    database = Database(database_url(Side.ORIGIN))
    yield database
    database.dispose()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.service)])
def make_database(request, tmp_path):
    """Make an empty database and return its URL; one run for each kind."""
    if request.param == "sqlite":
        return lambda side: f"sqlite:///{tmp_path}/{side}.db"
    url = make_url(request.getfixturevalue("postgres_url"))

    def create(side):
        name = f"empty_{side}_{uuid.uuid4().hex}"
        admin = url.set(drivername="postgresql").render_as_string(False)
        with psycopg.connect(admin, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        return url.set(database=name).render_as_string(False)

    return create
