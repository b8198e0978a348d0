"""openstacksdk's own functional suite for bare metal, run unchanged against a service.

It ships inside the installed package. It is run by pytest in a process of its own,
since it reads its settings when it is imported and leaves log handlers behind.
"""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from tests.contract.api.service import Service

PACKAGE = "openstack.tests.functional.baremetal.v1"
CLOUDS = ("DEMO_CLOUD", "DEMO_CLOUD_ALT", "OPERATOR_CLOUD", "SYSTEM_ADMIN_CLOUD")
# What a node-less stand-alone service has no neighbours for.
ABSENT = {f"has_{name}": False for name in ("compute", "image", "network", "identity")}
TEST_SECONDS = 60
SUITE_SECONDS = 290


@dataclass(frozen=True)
class Outcome:
    """How one of its tests ended: passed, skipped or failed, and what was told."""

    kind: str
    text: str = ""


def names() -> list[str]:
    """All its tests, ``file.Class.test``, read from the sources without importing them."""
    (folder,) = importlib.util.find_spec(PACKAGE).submodule_search_locations
    return [
        f"{path.stem}.{found.name}.{test.name}"
        for path in sorted(Path(folder).glob("test_*.py"))
        for found in ast.parse(path.read_text()).body
        if isinstance(found, ast.ClassDef)
        for test in found.body
        if isinstance(test, ast.FunctionDef) and test.name.startswith("test_")
    ]


class Suite:
    """One run of the suite; starts at once, and is waited for when its outcomes are asked."""

    def __init__(self, service: Service, folder: Path, *, plugins: list[str]) -> None:
        folder.mkdir()
        self._report = folder / "report.xml"
        self._output = folder / "output.txt"
        self._outcomes: dict[str, Outcome] = {}
        clouds = folder / "clouds.json"
        clouds.write_text(json.dumps({"clouds": {"ours": service.cloud | ABSENT}}))
        environment = service.environment | {
            "OS_CLIENT_CONFIG_FILE": str(clouds),
            "OS_CLOUD": "ours",
            "OS_TEST_TIMEOUT": str(TEST_SECONDS),
            "PYTHONPATH": str(Path(__file__).parent),
            **{f"OPENSTACKSDK_{name}": "ours" for name in CLOUDS},
        }
        for name in ("OS_AUTH_TYPE", "OS_ENDPOINT", "OS_USERNAME", "OS_PASSWORD"):
            environment.pop(name, None)
        command = [sys.executable, "-m", "pytest", "-q", "--pyargs", PACKAGE, "-c", os.devnull]
        command += ["-p", "no:cacheprovider", "--tb=short", f"--junitxml={self._report}"]
        for plugin in plugins:
            command += ["-p", plugin]
        with self._output.open("w") as output:
            self._process = subprocess.Popen(
                command, cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT
            )

    def outcome(self, name: str) -> Outcome:
        """How one of its tests ended."""
        if not self._outcomes:
            self._process.wait(SUITE_SECONDS)
            assert self._report.exists(), self._output.read_text()[-4000:]
            cases = ElementTree.parse(self._report).iter("testcase")
            self._outcomes = dict(map(_read, cases))
        return self._outcomes.get(name, Outcome("failed", "The test was not run."))

    def stop(self) -> None:
        """End it; a run that was waited for has ended already."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()


def _read(case: ElementTree.Element) -> tuple[str, Outcome]:
    name = ".".join([*case.attrib["classname"].split(".")[-2:], case.attrib["name"]])
    for kind, shown in (("failure", "failed"), ("error", "failed"), ("skipped", "skipped")):
        found = case.find(kind)
        if found is not None:
            return name, Outcome(shown, f"{found.get('message', '')}\n{found.text or ''}")
    return name, Outcome("passed")
