"""Which digest an image must have."""

import pytest

from agent import checksums
from agent.errors import InvalidCommandParams

MD5, SHA256, SHA512 = "a" * 32, "b" * 64, "c" * 128


def nothing(url):
    raise AssertionError(f"{url} must not be fetched")


def found(info, **more):
    checksum = checksums.expected(info, nothing, **more)
    return checksum.algorithm, checksum.digest


@pytest.mark.parametrize(("digest", "kind"), [(MD5, "md5"), (SHA256, "sha256"), (SHA512, "sha512")])
def test_the_kind_of_a_plain_checksum_follows_from_its_length(digest, kind):
    assert found({"checksum": digest}) == (kind, digest)


def test_the_os_hash_wins_over_the_checksum():
    info = {"checksum": MD5, "os_hash_algo": "sha512", "os_hash_value": SHA512}
    assert found(info) == ("sha512", SHA512)


def test_a_digest_in_capitals_is_the_same_digest():
    assert found({"checksum": SHA256.upper()}) == ("sha256", SHA256)


def test_md5_is_refused_when_the_conductor_disabled_it():
    with pytest.raises(InvalidCommandParams, match="MD5"):
        found({"checksum": MD5}, md5_allowed=False)


@pytest.mark.parametrize(
    "info",
    [
        {},
        {"checksum": ""},
        {"checksum": None, "os_hash_algo": "sha256"},
        {"os_hash_value": SHA256},
        {"checksum": "xyz"},
        {"checksum": "g" * 64},
        {"os_hash_algo": "sha256", "os_hash_value": SHA512},
        {"os_hash_algo": "crc32", "os_hash_value": "0" * 8},
    ],
)
def test_without_a_usable_digest_nothing_is_written(info):
    with pytest.raises(InvalidCommandParams):
        found(info)


@pytest.mark.parametrize(
    "text",
    [
        f"{SHA256}\n",
        f"{'d' * 64}  other.img\n{SHA256}  disk.img\n",
        f"{SHA256} *disk.img\n",
        f"# comment\nSHA256 (other) = {'d' * 64}\nSHA256 (disk.img) = {SHA256}\n",
        f"{SHA256}  ./images/disk.img\n",
    ],
    ids=["bare", "gnu", "binary", "bsd", "path"],
)
def test_the_digest_is_found_in_each_kind_of_checksum_file(text):
    info = {"checksum": "http://h/SUMS", "urls": ["http://h/a/disk.img?sig=1"]}
    assert checksums.expected(info, lambda url: text).digest == SHA256


def test_a_checksum_file_without_the_image_is_an_error_that_names_it():
    info = {"checksum": "http://h/SUMS", "urls": ["http://h/disk.img"]}
    with pytest.raises(InvalidCommandParams, match=r"disk\.img"):
        checksums.expected(info, lambda url: f"{SHA256}  a\n{SHA256}  b\n")
