"""What may go out as it is stored, for every noun at once."""

from __future__ import annotations

import pytest

from api.fields import Field, Table
from api.routes import ROUTES
from api.versions import MAXIMUM
from api.view import Shown

TABLES = {
    table.noun: table
    for route in ROUTES
    for table in (route.handler.shows, route.handler.lists)
    if table is not None
}


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_nothing_that_may_hold_a_secret_goes_out_as_it_is_stored(table: Table) -> None:
    shown = table.visible(MAXIMUM)
    masked = {column for entry in shown if entry.masked for column in entry.reads}
    assert not masked & shown.stored


def test_a_column_that_another_field_looks_into_is_read_in_full() -> None:
    plain = Field("extra", schema={"type": "object"})
    looking = Field("size", columns=("extra",), show=lambda row, view: len(row["extra"]))
    assert Shown([plain]).stored == {"extra"}
    assert Shown([plain, looking]).stored == set()
