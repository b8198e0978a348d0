"""What every table is made with: the types of columns, the naming of constraints."""

from __future__ import annotations

import datetime
import uuid as uuid_module
from collections.abc import Callable
from typing import Any, cast

from sqlalchemy import JSON, Boolean, DateTime, Index, MetaData, String, Text, text
from sqlalchemy.dialects import mysql
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.types import TypeDecorator, TypeEngine


class UTCDateTime(TypeDecorator[datetime.datetime]):
    """An aware UTC datetime in Python, a naive UTC one in the database (sqlite has no zones)."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        # Left alone, MariaDB keeps whole seconds: leases and the order of lives need more.
        kept = mysql.DATETIME(fsp=6) if dialect.name == "mariadb" else DateTime()
        return dialect.type_descriptor(kept)

    def process_bind_param(
        self, value: datetime.datetime | None, dialect: Dialect
    ) -> datetime.datetime | None:
        if value is None:
            return None
        return value.astimezone(datetime.UTC).replace(tzinfo=None)

    def result_processor(
        self, dialect: Dialect, coltype: object
    ) -> Callable[[Any], datetime.datetime | None]:
        """One call for each value: rows have many of these, and most are null."""
        parse = self.impl_instance.result_processor(dialect, coltype)

        def read(value: Any) -> datetime.datetime | None:
            if value is None:
                return None
            moment: Any = value if parse is None else parse(value)
            return cast(datetime.datetime, moment.replace(tzinfo=datetime.UTC))

        return read


# As long as a request may be; what MariaDB calls TEXT ends at 64 KiB.
LongText = Text().with_variant(mysql.MEDIUMTEXT(), "mariadb")
JSONObject = dict[str, Any]


class Base(DeclarativeBase):
    """Shared naming of constraints, so that migrations can name what they change."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {
        datetime.datetime: UTCDateTime(),
        JSONObject: JSON(),
        list[Any]: JSON(),
        str: String(255),
        bool: Boolean(),
    }


def new_uuid() -> str:
    """A random UUID as lower-case text."""
    return str(uuid_module.uuid4())


def index_of_set(table: str, column: str) -> Index:
    """An index of the rows that have a value in a column that is mostly empty."""
    there = text(f"{column} IS NOT NULL")
    return Index(f"ix_{table}_{column}", column, sqlite_where=there, postgresql_where=there)
