"""The records of decisions: each is found by its number."""

from pathlib import Path

FOLDER = Path(__file__).parents[2] / "docs" / "decisions"


def test_a_decision_has_the_number_of_its_file_and_none_is_left_out() -> None:
    files = sorted(FOLDER.glob("[0-9]*.md"))
    titles = [file.read_text().partition(". ")[0] for file in files]
    assert titles == [f"# {number}" for number in range(1, len(files) + 1)]
    assert [int(file.name[:4]) for file in files] == list(range(1, len(files) + 1))
