"""Packing: what goes into a model.tar.gz, and that the same folder gives the same bytes."""

import hashlib
import os
import stat
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.archives import Packed, extract, pack
from serving.archives.pack import SKIPPED
from serving.errors import ArchiveError

LIMIT = 1 << 20


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    return folder


def write(path: Path, content: bytes = b"content", mode: int = 0o644) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(mode)
    return path


def names(archive: Path) -> list[str]:
    with tarfile.open(archive, "r:gz") as tar:
        return tar.getnames()


def test_members_are_relative_to_the_folder_and_sorted(model: Path, tmp_path: Path) -> None:
    for name in ("xgboost-model", "code/requirements.txt", "code/inference.py", "code-2/a"):
        write(model / name)
    (model / "assets").mkdir()
    pack(model, tmp_path / "model.tar.gz")
    assert names(tmp_path / "model.tar.gz") == [
        "assets",
        "code",
        "code/inference.py",
        "code/requirements.txt",
        "code-2",
        "code-2/a",
        "xgboost-model",
    ]


def test_what_was_packed_is_told(model: Path, tmp_path: Path) -> None:
    write(model / "a")
    write(model / "b/c")
    (model / "link").symlink_to("a")
    archive = tmp_path / "new" / "model.tar.gz"
    packed = pack(model, archive)
    content = archive.read_bytes()
    assert packed == Packed(archive, 2, len(content), hashlib.sha256(content).hexdigest())


def test_equal_folders_give_equal_bytes(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    write(first / "a", mode=0o600)
    write(first / "tool", mode=0o755)
    write(second / "tool", mode=0o700)
    write(second / "a", mode=0o664)
    os.utime(second / "a", (1, 1))
    one = pack(first, tmp_path / "1.tar.gz")
    two = pack(second, tmp_path / "2.tar.gz")
    assert one.sha256 == two.sha256
    write(second / "tool", mode=0o644)
    assert pack(second, tmp_path / "3.tar.gz").sha256 != one.sha256


def test_members_bear_no_owner_and_no_time(model: Path, tmp_path: Path) -> None:
    write(model / "d/tool", mode=0o4777)
    pack(model, tmp_path / "model.tar.gz")
    with tarfile.open(tmp_path / "model.tar.gz") as tar:
        facts = {(m.uid, m.gid, m.uname, m.gname, m.mtime, m.mode) for m in tar}
    assert facts == {(0, 0, "", "", 0, 0o755)}


def test_caches_and_version_control_are_left_out(model: Path, tmp_path: Path) -> None:
    for name in (
        ".git/HEAD",
        "code/__pycache__/inference.pyc",
        ".ipynb_checkpoints/a.ipynb",
        "code/.DS_Store",
        ".hidden",
        "code/inference.py",
    ):
        write(model / name)
    pack(model, tmp_path / "model.tar.gz")
    assert names(tmp_path / "model.tar.gz") == [".hidden", "code", "code/inference.py"]


def test_an_archive_in_the_folder_is_left_out_of_itself(model: Path) -> None:
    write(model / "weights")
    first = pack(model, model / "model.tar.gz")
    second = pack(model, model / "model.tar.gz")
    assert first == second
    assert names(model / "model.tar.gz") == ["weights"]
    assert sorted(path.name for path in model.iterdir()) == ["model.tar.gz", "weights"]


@pytest.mark.parametrize("prepare", ["nothing", "folder", "cache"])
def test_a_folder_without_a_file_is_refused(model: Path, tmp_path: Path, prepare: str) -> None:
    if prepare == "folder":
        (model / "empty").mkdir()
    elif prepare == "cache":
        write(model / "__pycache__/a.pyc")
    with pytest.raises(ArchiveError, match="holds no file to pack"):
        pack(model, tmp_path / "model.tar.gz")
    assert not (tmp_path / "model.tar.gz").exists()


@pytest.mark.parametrize(
    "target", ["/etc/hostname", "../outside", "../model/a", "sub/../../outside", ".git/HEAD", "."]
)
def test_a_link_must_lead_to_something_packed(model: Path, tmp_path: Path, target: str) -> None:
    write(tmp_path / "outside")
    write(model / "a")
    write(model / "sub/b")
    write(model / ".git/HEAD")
    (model / "link").symlink_to(target)
    if target == ".":
        pack(model, tmp_path / "model.tar.gz")
        assert "link" in names(tmp_path / "model.tar.gz")
    else:
        with pytest.raises(ArchiveError, match=r"link is a link to .* not packed with it"):
            pack(model, tmp_path / "model.tar.gz")


def test_a_link_that_leaves_by_way_of_another_is_refused(model: Path, tmp_path: Path) -> None:
    write(tmp_path / "outside")
    write(model / "a")
    (model / "here").symlink_to(".")
    (model / "up").symlink_to("here/../outside")
    with pytest.raises(ArchiveError, match="up is a link to"):
        pack(model, tmp_path / "model.tar.gz")


def test_a_link_to_nothing_is_refused(model: Path, tmp_path: Path) -> None:
    write(model / "a")
    (model / "link").symlink_to("missing")
    with pytest.raises(ArchiveError, match="No such file or directory"):
        pack(model, tmp_path / "model.tar.gz")


def test_links_within_the_folder_are_kept(model: Path, tmp_path: Path) -> None:
    write(model / "versions/1/weights")
    (model / "latest").symlink_to("versions/1")
    os.link(model / "versions/1/weights", model / "copy")
    pack(model, tmp_path / "model.tar.gz")
    extract(tmp_path / "model.tar.gz", tmp_path / "unpacked", limit=LIMIT)
    assert (tmp_path / "unpacked/latest").readlink() == Path("versions/1")
    assert (tmp_path / "unpacked/latest/weights").read_bytes() == b"content"
    assert (tmp_path / "unpacked/copy").read_bytes() == b"content"


def test_a_pipe_is_refused(model: Path, tmp_path: Path) -> None:
    write(model / "a")
    os.mkfifo(model / "pipe")
    with pytest.raises(ArchiveError, match="pipe is neither a file nor a folder"):
        pack(model, tmp_path / "model.tar.gz")


def test_what_cannot_be_read_or_written_is_said(model: Path, tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="No such file or directory"):
        pack(tmp_path / "missing", tmp_path / "model.tar.gz")
    file = write(model / "a")
    with pytest.raises(ArchiveError, match="Not a directory"):
        pack(file, tmp_path / "model.tar.gz")
    with pytest.raises(ArchiveError, match="cannot be packed to"):
        pack(model, file / "model.tar.gz")
    with pytest.raises(ArchiveError, match="Is a directory"):
        pack(model, tmp_path)


def test_a_failure_leaves_the_older_archive(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(model / "a")
    packed = pack(model, tmp_path / "model.tar.gz")
    write(model / "b", b"new")

    def fail(done: int, total: int | None) -> None:
        raise OSError("disk full")

    with pytest.raises(ArchiveError, match="disk full"):
        pack(model, packed.path, progress=fail)
    assert hashlib.sha256(packed.path.read_bytes()).hexdigest() == packed.sha256
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "model.tar.gz"]


def test_progress_counts_the_bytes_of_all_files(model: Path, tmp_path: Path) -> None:
    write(model / "a", bytes(2_500_000))
    write(model / "b", bytes(500_000))
    calls: list[tuple[int, int | None]] = []
    pack(model, tmp_path / "m.tar.gz", progress=lambda done, total: calls.append((done, total)))
    assert [round((done or 0) / (1 << 20), 1) for done, _ in calls] == [1.0, 2.0, 2.9]
    assert calls[-1] == (3_000_000, 3_000_000)


NAMES = st.text(
    st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=60
).filter(lambda name: name not in SKIPPED | {".", ".."})
TREES = st.recursive(
    st.tuples(st.binary(max_size=2000), st.booleans()),
    lambda children: st.dictionaries(NAMES, children, max_size=4),
    max_leaves=8,
)
Tree = dict[str, "Tree"] | tuple[bytes, bool]


def grow(folder: Path, tree: Tree) -> None:
    if isinstance(tree, dict):
        folder.mkdir()
        for name, branch in tree.items():
            grow(folder / name, branch)
    else:
        write(folder, tree[0], 0o755 if tree[1] else 0o644)


def gather(path: Path) -> Tree:
    if path.is_dir():
        return {child.name: gather(child) for child in path.iterdir()}
    return path.read_bytes(), bool(path.stat().st_mode & stat.S_IXUSR)


@settings(max_examples=50, deadline=None)
@given(tree=st.dictionaries(NAMES, TREES, max_size=4))
def test_what_is_packed_and_unpacked_is_the_same(tree: dict[str, Tree]) -> None:
    tree = {**tree, "weights": (b"w", False)}
    with TemporaryDirectory() as name:
        top = Path(name)
        grow(top / "model", tree)
        packed = pack(top / "model", top / "model.tar.gz")
        extract(packed.path, top / "unpacked", limit=LIMIT)
        assert gather(top / "unpacked") == tree
        assert pack(top / "unpacked", top / "again.tar.gz").sha256 == packed.sha256
