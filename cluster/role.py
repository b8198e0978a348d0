"""One process of Drophammer's own: ``drophammer serve --role ...`` with its configuration."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from cluster.engine import HOST, Engine

_CHECKOUT = Path(__file__).resolve().parents[1]
Options = Mapping[str, Mapping[str, object]]


class Role(Engine):
    """``roles``: as for ``--role``. ``port`` is the API's, or where /metrics and /readyz are.

    ``variables`` are of its environment.
    """

    package = "nothing; run this from the checkout's virtualenv"

    def __init__(
        self,
        folder: Path,
        port: int,
        name: str,
        roles: str,
        options: Options,
        variables: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        super().__init__(folder, port)
        self._variables = variables
        self.name = name  # type: ignore[misc]
        self.roles = roles
        self._options = options

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def prepare(self) -> None:
        lines = []
        for group, values in self._options.items():
            lines += [f"[{group}]", *(f"{name} = {value}" for name, value in values.items()), ""]
        path = self.folder / "drophammer.conf"
        path.touch(0o600)
        path.write_text("\n".join(lines))

    def command(self) -> Sequence[str]:
        return (
            *(sys.executable, "-m", "embedded", "serve", "--role", self.roles),
            *("--config-file", str(self.folder / "drophammer.conf")),
            *("--state-dir", str(self.folder / "state"), "--listen", f"{HOST}:{self.port}"),
        )

    def environment(self) -> Mapping[str, str]:
        return {"PYTHONPATH": str(_CHECKOUT), **self._variables}
