"""What each side remembers: SQLAlchemy tables, sessions, migrations."""

from __future__ import annotations
