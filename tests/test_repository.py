"""Names into places in a repository, and no way out of it."""

from pathlib import Path

import pytest

from serving.errors import BadRequest, ModelNotFound
from serving.repository import Repository


def test_a_name_is_a_path_in_the_folder(tmp_path: Path) -> None:
    (tmp_path / "team").mkdir()
    (tmp_path / "team" / "a b.tar.gz").write_bytes(b"")
    repository = Repository(f"{tmp_path}/")
    assert repository.url("team/a b.tar.gz") == str(tmp_path / "team" / "a b.tar.gz")


def test_a_name_is_added_to_an_address_which_is_not_asked() -> None:
    assert Repository("s3://bucket/models/").url("a/b.tar.gz") == "s3://bucket/models/a/b.tar.gz"


def test_what_is_not_there_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match=r"^Model not found in model store: a\.tar\.gz$"):
        Repository(str(tmp_path)).url("a.tar.gz")


def test_what_no_file_can_be_called_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound):
        Repository(str(tmp_path)).url("x" * 300)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "..",
        "../a.tar.gz",
        "a/../../b",
        "a/..",
        "/etc/passwd",
        "a//b",
        "a/",
        "./a",
        "a\\..\\b",
        "a\0b",
        "a\nb",
        "s3://other/a",
        "file:///etc/passwd",
        "x" * 1025,
    ],
)
@pytest.mark.parametrize("root", ["folder", "s3://bucket/models"])
def test_a_name_that_leads_elsewhere_is_refused(tmp_path: Path, name: str, root: str) -> None:
    (tmp_path / "folder").mkdir()
    repository = Repository(root if "://" in root else str(tmp_path / root))
    with pytest.raises(BadRequest, match="cannot be a model"):
        repository.url(name)
