"""The pages do what pages of a plugin must, on both sides."""

from __future__ import annotations

import pytest

from eurydice_admin import Settings, create_app
from eurydice_core.model.states import Side
from eurydice_core.testing.web import WebConformance


@pytest.fixture
def app():
    return create_app(Settings())


class TestOrigin(WebConformance):
    side = Side.ORIGIN


class TestDestination(WebConformance):
    side = Side.DESTINATION
