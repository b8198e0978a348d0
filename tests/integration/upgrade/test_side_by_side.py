"""Two versions at work beside each other on one PostgreSQL and one RabbitMQ: a rolling upgrade.

Each has an API and a conductor; nodes are taken through their lives over both APIs, until
the older one is stopped in the middle of it. Once the older one is what git has from before
the last change of the schema, once the newer one is this version with one more change.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import urllib3

from cluster.lending import free_ports
from cluster.postgresql import PostgreSQL
from cluster.rabbitmq import RabbitMQ
from cluster.role import Role
from drophammer import schema
from tests.patience import PATIENCE

ROOT = Path(__file__).resolve().parents[3]
PACKAGES = ("drophammer", "api", "conductor", "netboot", "agent", "embedded", "ramdisk", "lab")
# Older code knows nothing of running beside a newer one.
FIRST = "drophammer/migrations/versions/0005_event_ids_rise_for_ever.py"
NODES = 24
DEPLOY_SECONDS = 1.0

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(240)]


@dataclass
class Version:
    """One version's code, and what runs of it."""

    name: str
    code: Path
    api: Role | None = None
    conductor: Role | None = None

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        assert self.api is not None
        answer = urllib3.request(
            method,
            f"{self.api.url}/v1/nodes{path}",
            json=body,
            headers={"X-OpenStack-Ironic-API-Version": "1.95"},
            retries=False,
            timeout=PATIENCE,
        )
        assert answer.status < 300, (self.name, method, path, answer.data)
        return json.loads(answer.data) if answer.data else None

    def verb(self, node: str, target: str) -> None:
        self.ask("PUT", f"/{node}/states/provision", {"target": target})

    def transitions(self) -> float:
        """How often its conductor has moved a node."""
        assert self.conductor is not None
        text = urllib3.request("GET", f"{self.conductor.url}/metrics").data.decode()
        name = "drophammer_conductor_transitions_total{"
        return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith(name))

    def stop(self) -> None:
        for role in (self.api, self.conductor):
            if role is not None:
                role.stop()


class Site:
    """The engines, and a folder for all."""

    def __init__(self, folder: Path, ready: Callable[..., None]) -> None:
        self.folder = folder
        self.ready = ready
        self.database = PostgreSQL(folder / "postgresql", free_ports(1), durable=False)
        self.broker = RabbitMQ(folder / "rabbitmq", free_ports(3))
        self._versions: list[Version] = []

    def start(self, version: Version) -> Version:
        """Its API and its conductor."""
        port = free_ports(2)
        self._versions.append(version)
        version.api = self._role(version, "api", port)
        version.api.start()
        version.conductor = self._role(version, "conductor", port + 1)
        version.conductor.start()
        self.ready(version.conductor, version.api)
        return version

    def stop(self) -> None:
        for version in self._versions:
            version.stop()
        self.broker.stop()
        self.database.stop()

    def _role(self, version: Version, role: str, port: int) -> Role:
        name = f"{version.name}-{role}"
        options: dict[str, dict[str, object]] = {
            "DEFAULT": {"host": name, "transport_url": self.broker.url},
            "database": {"connection": self.database.url},
            "serve": {} if role == "api" else {"monitor_listen": f"127.0.0.1:{port}"},
            "conductor": {"heartbeat_interval": 1, "heartbeat_timeout": 6},
            "fake": {"deploy_delay": DEPLOY_SECONDS},
        }
        code = {"PYTHONPATH": str(version.code)}
        return Role(self.folder / name, port, name, role, options, variables=code)


@pytest.fixture
def site(ready: Callable[..., None]) -> Iterator[Site]:
    """Engines of our own; their users may not enter pytest's folders."""
    for needed in ("/usr/lib/rabbitmq/bin/rabbitmq-server", "/usr/lib/postgresql"):
        if not Path(needed).exists():
            pytest.skip(f"{needed} is not installed; `make test` does that")
    folder = Path(tempfile.mkdtemp(prefix="drophammer-upgrade-"))
    folder.chmod(0o755)
    made = Site(folder, ready)
    try:
        made.database.start()
        made.broker.start()
        yield made
    finally:
        made.stop()
        shutil.rmtree(folder, ignore_errors=True)


def test_the_code_before_the_last_change_of_the_schema_works_beside_this_one(
    site: Site, tmp_path: Path
) -> None:
    old = site.start(Version("old", from_before(tmp_path / "old")))
    new = site.start(Version("new", ROOT))
    upgrade_while_at_work(old, new)


def test_a_next_version_that_adds_to_schema_and_letters_works_beside_this_one(
    site: Site, tmp_path: Path
) -> None:
    old = site.start(Version("old", ROOT))
    new = site.start(Version("new", next_version(tmp_path / "new")))
    assert site.database.sql("SELECT rack FROM nodes", "drophammer") == ""
    # As when a host that has not been upgraded yet is restarted.
    assert old.conductor is not None
    old.conductor.stop()
    old.conductor.start()
    site.ready(old.conductor)
    upgrade_while_at_work(old, new)
    assert set(site.database.sql("SELECT rack FROM nodes", "drophammer").split()) == {"none"}


def upgrade_while_at_work(old: Version, new: Version) -> None:
    """Verbs over both APIs, worked on by both conductors; the older is stopped during deploys."""
    both = (old, new)
    names = [f"node-{number}" for number in range(NODES)]
    for number, name in enumerate(names):
        both[number % 2].ask("POST", "", {"name": name, "driver": "fake-hardware"})
    for turn, (target, state) in enumerate((("manage", "manageable"), ("provide", "available"))):
        for number, name in enumerate(names):
            both[(number // 2 + turn) % 2].verb(name, target)
        until(both[turn], state)
    assert states(old) == states(new)
    for number, name in enumerate(names):
        both[number // 3 % 2].verb(name, "active")
    assert old.transitions() > 0
    assert new.transitions() > 0
    old.stop()
    until(new, "active")


def until(version: Version, state: str) -> None:
    end = time.monotonic() + PATIENCE
    while any(found != (state, None) for found in states(version).values()):
        assert time.monotonic() < end, states(version)
        time.sleep(0.1)


def states(version: Version) -> dict[str, tuple[str, str | None]]:
    told = version.ask("GET", "?fields=name,provision_state,reservation")
    return {node["name"]: (node["provision_state"], node["reservation"]) for node in told["nodes"]}


def from_before(folder: Path) -> Path:
    """The code that knew the schema before the last one."""
    changes = git("log", "--format=%H", "-1", "--", "drophammer/migrations/versions").split()
    for commit in [f"{change}{before}" for change in changes for before in ("^", "")]:
        if git("ls-tree", "--name-only", commit, FIRST).strip():
            break
    else:
        pytest.skip("this checkout has no history of the schema")
    if commit.endswith("^") or git("rev-parse", "--verify", f"{commit}^"):
        folder.mkdir()
        packed = folder / "code.tar"
        git("archive", f"--output={packed}", commit, *PACKAGES)
        subprocess.run(["tar", "-xf", str(packed), "-C", str(folder)], check=True)
        return folder
    pytest.skip("the history of this checkout is cut off")


def git(*arguments: str) -> str:
    """What git says; nothing when it cannot."""
    if shutil.which("git") is None:
        return ""
    command = ("git", "-c", f"safe.directory={ROOT}", *arguments)
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout


def next_version(folder: Path) -> Path:
    """This version with a column and a table more, and letters with a part more."""
    for name in PACKAGES:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    head = sorted(
        path.stem for path in (schema.MIGRATIONS / "versions").glob("[0-9]*.py")
    )[-1]  # fmt: skip
    down = revision_in((schema.MIGRATIONS / "versions" / f"{head}.py").read_text())
    (folder / "drophammer/migrations/versions/9999_racks.py").write_text(
        f"""
import sqlalchemy as sa
from alembic import op

revision = "9999_since_{down[:4]}"
down_revision = "{down}"


def upgrade():
    op.create_table("racks", sa.Column("id", sa.Integer, primary_key=True))
    op.add_column("nodes", sa.Column("rack", sa.String(32), server_default="none", nullable=False))
"""
    )
    with (folder / "drophammer/model/__init__.py").open("a") as model:
        model.write(
            "\nfrom sqlalchemy import String\nfrom sqlalchemy.orm import mapped_column\n"
            'Node.rack = mapped_column("rack", String(32), server_default="none", nullable=False)\n'
        )
    with (folder / "drophammer/bus_letter.py").open("a") as letter:
        letter.write(
            "\ndef pack(letter):\n"
            '    return json.dumps({**letter.__dict__, "urgency": {"high": True}})\n'
        )
    return folder


def revision_in(text: str) -> str:
    return text.split('revision = "', 1)[1].split('"', 1)[0]
