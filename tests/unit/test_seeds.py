"""The page of what was asked for: its markers, its results, and that it is up to date."""

from pathlib import Path

import pytest

from tests import seeds
from tests.seedrows import LATER, ROWS

MODULE = """
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.seed("s1")]


@pytest.mark.seed("s2", "s3")
def test_two():
    pass


class TestMore:
    @pytest.mark.seed("s2")
    @pytest.mark.parametrize("value", [1, 2])
    def test_three(self, value):
        pass

def helper():
    pass
"""
RUN = """<testsuites><testsuite>
<testcase classname="tests.unit.test_a" name="test_one[1]"/>
<testcase classname="tests.unit.test_a" name="test_one[2]"><failure message="no"/></testcase>
<testcase classname="tests.unit.test_a" name="test_two"><skipped/></testcase>
<testcase classname="tests.unit.test_a.TestMore" name="test_three"/>
</testsuite></testsuites>"""


def test_each_marker_names_a_row_that_exists() -> None:
    named = {row for row, _ in seeds.marked_tests()}
    assert named <= set(ROWS)


def test_rows_and_tests_on_the_page_are_up_to_date() -> None:
    made = seeds.markdown(seeds.tests_by_row(seeds.marked_tests()), {})
    assert seeds.without_results(seeds.PAGE.read_text()) == seeds.without_results(made), (
        "run `make docs`"
    )


def test_all_rows_are_there_and_the_later_ones_are_known() -> None:
    assert list(ROWS) == [f"s{number}" for number in range(1, 66)]
    assert {"s17", "s18", "s33", "s34", "s36", "s40", "s59", "s61"} <= LATER
    assert len(LATER) == 12


def test_markers_of_functions_classes_and_modules_are_found(tmp_path: Path) -> None:
    (tmp_path / "test_x.py").write_text(MODULE)
    found = seeds.tests_by_row(seeds.marked_tests(tmp_path))
    two, three = f"{tmp_path}/test_x.py::test_two", f"{tmp_path}/test_x.py::TestMore::test_three"
    assert found == {"s1": [three, two], "s2": [three, two], "s3": [two]}


@pytest.mark.parametrize(
    ("tests", "result"),
    [
        (["tests/unit/test_a.py::test_one"], "failed"),
        (["tests/unit/test_a.py::test_two", "tests/unit/test_a.py::test_four"], "skipped"),
        (["tests/unit/test_a.py::TestMore::test_three"], "passed"),
        (["tests/unit/test_a.py::TestMore::test_three", "tests/b.py::test_five"], "not run"),
    ],
)
def test_a_row_has_the_worst_result_of_its_tests(
    tmp_path: Path, tests: list[str], result: str
) -> None:
    junit = tmp_path / "run.xml"
    junit.write_text(RUN)
    assert seeds.result_of_row(tests, seeds.results_of_run(junit)) == result


def test_a_result_stays_as_long_as_the_rows_tests_do() -> None:
    tests = {"s1": ["tests/a.py::test_a"], "s2": ["tests/a.py::test_b"]}
    page = seeds.markdown(tests, {"s1": "passed", "s2": "passed"})
    changed = {**tests, "s2": ["tests/a.py::test_b", "tests/a.py::test_c"]}
    assert seeds.results_kept(page, changed) == {"s1": "passed"}
    assert seeds.markdown(changed, {"s1": "passed"}).count("| not run |") == 1
