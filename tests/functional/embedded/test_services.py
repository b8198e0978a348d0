"""``drophammer services`` against a service that runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from embedded.cli import main
from tests.patience import until


@pytest.fixture
def ask(serve: Any, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run a sub-command; gives its exit code, its output and its complaints."""
    served = serve()
    served.until("Ctrl-C stops it.")

    def run(*words: str, url: str = "") -> tuple[int, str, str]:
        code = main(["services", words[0], "--url", url or served.url, *words[1:]])
        told = capsys.readouterr()
        return code, told.out, told.err

    # The first look is under way when the table is printed.
    until(lambda: "tgt" in run("list")[1], pause=0.05)
    run.served = served  # type: ignore[attr-defined]
    return run


@pytest.mark.seed("s1", "s20")
def test_services_are_listed_restarted_and_listened_to(ask: Any) -> None:
    code, out, _ = ask("list")
    lines = {line.split()[1]: line.split()[2:4] for line in out.splitlines()}
    assert code == 0
    assert lines == {
        "SERVICE": ["EXPECTED", "ACTUAL"],
        "dhcp4": ["off", "off"],
        "dhcp6": ["off", "off"],
        "http": ["on", "running"],
        "ntp": ["off", "off"],
        "tftp": ["on", "running"],
        "tgt": ["off", "off"],
    }
    host = out.splitlines()[1].split()[0]
    assert ask("restart", "tftp")[1].startswith("tftp: running pid ")
    assert ask("log", f"{host}/tftp", "--level", "debug", "--requests", "on")[1] == (
        "level: debug\nrequests: on\n"
    )
    assert ask("log", "tftp", "--level", "configured")[1] == "level: configured\nrequests: on\n"
    assert ask("log", "ntp")[1] == "level: configured\nrequests: none to be had\n"
    for words, complaint in (
        (("restart", "sshd"), "'sshd' is a service of no host"),
        (("restart", "dhcp4"), "409: dhcp4 on "),
        (("restart", f"{host}/sshd"), "has no service 'sshd'"),
        (("log", "ntp", "--requests", "on"), "ntp has no log of requests"),
    ):
        code, _, err = ask(*words)
        assert (code, complaint in err) == (1, True), err


def test_an_api_that_is_not_there_is_named(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["services", "list", "--url", "http://127.0.0.1:1"]) == 1
    assert "http://127.0.0.1:1 cannot be asked" in capsys.readouterr().err
