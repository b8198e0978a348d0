"""Writes ``docs/seeds.md``: each row of what was asked for, the tests that show it, their result.

    python -m tests.seeds                      rows and tests; results stay where the tests did
    python -m tests.seeds --results FILE       with the results of a run (pytest --junitxml)
    python -m tests.seeds --check              says whether rows and tests are up to date

Tests are found by their markers without being imported.
"""

from __future__ import annotations

import argparse
import ast
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from tests.seedrows import LATER, ROWS

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/seeds.md"
NOT_RUN = "not run"
_HEAD = """\
# What was asked for, and what shows it

Written by `make seeds`, which also runs the tests; `make docs` brings rows and tests up to date.
A row's result is the worst of its tests' in the last run.

| row | what has to be true | shown by | last result |
|---|---|---|---|
"""
#: Worst first.
_RESULTS = ("failed", "skipped", NOT_RUN, "passed")

Tests = dict[str, list[str]]


def marked_tests(folder: Path = ROOT / "tests") -> Iterator[tuple[str, str]]:
    """``(row, test)`` of each marker below ``folder``; a test is ``path::[Class::]function``."""
    for path in sorted(folder.rglob("test_*.py")):
        source = path.read_text()
        if "mark.seed" in source:
            name = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
            for row, test in _in_module(ast.parse(source)):
                yield row, f"{name}::{test}"


def _in_module(module: ast.Module) -> Iterator[tuple[str, str]]:
    common = [row for node in module.body for row in _pytestmark(node)]
    yield from _in_body(module.body, "", common)


def _in_body(body: Iterable[ast.stmt], prefix: str, outer: list[str]) -> Iterator[tuple[str, str]]:
    for node in body:
        if isinstance(node, ast.ClassDef):
            yield from _in_body(node.body, f"{prefix}{node.name}::", outer + _decorated(node))
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name[:4] == "test":
            for row in dict.fromkeys(outer + _decorated(node)):
                yield row, prefix + node.name


def _decorated(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    return [row for decorator in node.decorator_list for row in _rows_of(decorator)]


def _pytestmark(node: ast.stmt) -> list[str]:
    if not isinstance(node, ast.Assign):
        return []
    if "pytestmark" not in [ast.unparse(target) for target in node.targets]:
        return []
    return [row for call in ast.walk(node.value) for row in _rows_of(call)]


def _rows_of(node: ast.AST) -> list[str]:
    if not isinstance(node, ast.Call) or not ast.unparse(node.func).endswith("mark.seed"):
        return []
    return [str(ast.literal_eval(argument)) for argument in node.args]


def tests_by_row(found: Iterable[tuple[str, str]]) -> Tests:
    """The tests of each row that has any, sorted."""
    tests: Tests = {}
    for row, test in found:
        tests.setdefault(row, []).append(test)
    return {row: sorted(set(names)) for row, names in tests.items()}


def results_of_run(junit: Path) -> dict[str, str]:
    """The result of each test in pytest's XML; of a test with parameters the worst one."""
    results: dict[str, str] = {}
    for case in ElementTree.parse(junit).iter("testcase"):
        name = f"{case.get('classname')}.{str(case.get('name')).partition('[')[0]}"
        kinds = {child.tag for child in case}
        result = "failed" if kinds & {"failure", "error"} else "passed"
        result = "skipped" if "skipped" in kinds else result
        results[name] = _worst([result, results.get(name, result)])
    return results


def result_of_row(tests: Iterable[str], results: Mapping[str, str]) -> str:
    """The worst of the tests' results."""
    names = [test.replace(".py::", ".").replace("/", ".").replace("::", ".") for test in tests]
    return _worst([results.get(name, NOT_RUN) for name in names])


def _worst(results: Iterable[str]) -> str:
    return min(results, key=_RESULTS.index)


def results_kept(page: str, tests: Tests) -> dict[str, str]:
    """The results that stand in ``page`` for rows whose tests are still the same ones."""
    kept = {}
    for line in page.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        row = cells[0]
        if row in tests and len(cells) == 4 and cells[2] == _shown_by(row, tests):
            kept[row] = cells[3]
    return kept


def markdown(tests: Tests, results: Mapping[str, str]) -> str:
    """The page; ``results`` by row."""
    lines = []
    for row, what in ROWS.items():
        nothing = NOT_RUN if row in tests else ""
        cells = (row, what, _shown_by(row, tests), results.get(row, nothing))
        lines.append(f"| {' | '.join(cells)} |\n")
    return _HEAD + "".join(lines)


def without_results(page: str) -> list[str]:
    """The page's lines without what a run makes of them."""
    return [line.rpartition(" | ")[0] or line for line in page.splitlines()]


def _shown_by(row: str, tests: Tests) -> str:
    if row in tests:
        return "<br>".join(f"`{test}`" for test in tests[row])
    return "a later milestone" if row in LATER else "nothing yet"


def main(argv: list[str]) -> int:
    """Write or check the page."""
    parser = argparse.ArgumentParser(prog="python -m tests.seeds", description=__doc__)
    parser.add_argument("--results", type=Path, metavar="FILE", help="XML of a test run")
    parser.add_argument("--check", action="store_true", help="write nothing")
    wanted = parser.parse_args(argv)
    tests = tests_by_row(marked_tests())
    unknown = sorted(set(tests) - set(ROWS))
    if unknown:
        print(f"There is no row {', '.join(unknown)}: see tests/seedrows.py.", file=sys.stderr)
        return 1
    page = PAGE.read_text() if PAGE.exists() else ""
    results = results_kept(page, tests)
    if wanted.results:
        run = results_of_run(wanted.results)
        results = {row: result_of_row(names, run) for row, names in tests.items()}
    made = markdown(tests, results)
    if wanted.check:
        stale = without_results(made) != without_results(page)
        print("Out of date: docs/seeds.md. Run `make docs`." if stale else "Up to date.")
        return int(stale)
    PAGE.write_text(made)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
