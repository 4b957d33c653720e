"""The settings as people see them."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from eurydice_core.config import DatabaseSettings
from eurydice_core.config.legacy import COMBINED, LEGACY
from eurydice_core.config.reference import reference
from eurydice_core.config.schema import FIELDS, is_known, variable
from eurydice_core.model.written import written

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "configuration.md"


def test_the_page_of_the_configuration_is_what_the_models_say():
    page = PAGE.read_text()
    assert page.endswith(reference() + "\n"), (
        "docs/reference/configuration.md is out of date: replace everything from '## Top level' on"
        " by what 'eurydice config reference' prints"
    )


def test_every_setting_is_described():
    undescribed = [variable(path) for path, field in FIELDS.items() if not field.description]
    assert undescribed == []


def test_every_legacy_variable_stands_for_a_setting_there_is():
    paths = [entry.path for entry in LEGACY] + [path for _, path, _ in COMBINED]
    assert [path for path in paths if not is_known(path)] == []


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (8 * 2**20, "size", "8MiB"),
        (2**20 + 1, "size", "1048577"),
        (0, "size", "0"),
        (604800.0, "duration", "7d"),
        (5400.0, "duration", "90min"),
        (0.1, "duration", "100ms"),
        (1.5, "duration", "1.5s"),
        (8080, None, "8080"),
        (True, None, "true"),
        (None, None, "none"),
        ("a", None, '"a"'),
        (("a", "b"), None, '["a", "b"]'),
        (SecretStr("hunter2"), None, "***"),
    ],
)
def test_values_are_written_as_one_would_write_them(value, unit, text):
    assert written(value, unit) == text


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("sqlite:////var/lib/x.db", "sqlite:////var/lib/x.db"),
        ("postgresql+psycopg://u:p@ss:w/o@h/db", "postgresql+psycopg://u:***@h/db"),
        ("postgresql://h/db?user=a&password=b&c=d", "postgresql://h/db?user=a&password=***&c=d"),
        ("postgresql://u@h/db", "postgresql://u@h/db"),
        ("postgresql://:p@h/d", "postgresql://:***@h/d"),
    ],
)
def test_a_database_is_shown_without_its_password(url, masked):
    assert DatabaseSettings(url=url).masked_url == masked
