"""`eurydice schema`: needs nothing, and says what the API says of itself."""

from __future__ import annotations

import json

import pytest

from eurydice_core.api.app import schema_of
from eurydice_core.model.states import Side


@pytest.mark.parametrize("side", Side)
def test_the_document_is_printed_without_any_configuration(eurydice, side):
    code, out, err = eurydice("schema", side)
    assert (code, err) == (0, "")
    assert json.loads(out) == json.loads(json.dumps(schema_of(side)))


def test_a_side_that_there_is_not_is_said(eurydice):
    code, _, err = eurydice("schema", "middle")
    assert code == 2
    assert "origin" in err
