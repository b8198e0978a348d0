"""The image's JSON reader, run by the busybox that runs it in the image."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.patience import PATIENCE

READER = Path(__file__).resolve().parents[3] / "lab/guest/json.awk"

pytestmark = pytest.mark.skipif(shutil.which("busybox") is None, reason="needs busybox")


def flatten(text):
    argv = ["busybox", "awk", "-f", str(READER)]
    return subprocess.run(argv, input=text.encode(), capture_output=True, timeout=PATIENCE)


def unescaped(word):
    plain = {"\\\\": "\\", "\\n": "\n", "\\t": "\t", "\\r": "\r", "\\x2f": "/"}
    return re.sub(r"\\x2f|\\.", lambda found: plain[found[0]], word)


def read(text):
    """The flat form as {path of keys: value}."""
    done = flatten(text)
    assert done.returncode == 0, (text, done.stdout, done.stderr)
    pairs = (line.split("\t", 1) for line in done.stdout.decode().split("\n")[:-1])
    return {tuple(map(unescaped, path.split("/"))): unescaped(value) for path, value in pairs}


def expected(value, path=()):
    """What ``read`` should give, by Python's own reading."""
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    else:
        return {path or ("",): value if isinstance(value, str) else json.dumps(value)}
    return {k: v for name, one in items for k, v in expected(one, (*path, str(name))).items()}


# Control characters but \n, \t and \r become blanks: none belongs into meta data.
WORDS = st.text(
    st.characters(exclude_categories=("Cs", "Cc"), include_characters="\n\t\r"), max_size=12
)
KEYS = WORDS.filter(bool)
VALUES = st.recursive(
    st.one_of(WORDS, st.integers(), st.booleans(), st.none()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3)),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    value=st.dictionaries(KEYS, VALUES, max_size=4), ascii_only=st.booleans(), indent=st.booleans()
)
def test_any_object_reads_as_python_reads_it(value, ascii_only, indent):
    text = json.dumps(value, ensure_ascii=ascii_only, indent=2 if indent else None)
    assert read(text) == expected(value)


def test_meta_data_in_the_style_of_other_producers():
    text = '{"public_keys": {"a/b": "ssh-rsa A\\u0042 x\\n"},\n"hostname" : "h\\/1",'
    text += '"launch_index": 0}'
    assert read(text) == {
        ("public_keys", "a/b"): "ssh-rsa AB x\n",
        ("hostname",): "h/1",
        ("launch_index",): "0",
    }


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        '{"a": }',
        '{"a": 1} x',
        '{"a" 1}',
        '["a"',
        '"\\x"',
        '"\\u12g4"',
        "{'a': 1}",
        '"a\nb"',
    ],
)
def test_what_is_not_json_is_refused(text):
    assert flatten(text).returncode == 1
