"""Unpacking: what a model archive may hold, and everything that is refused."""

import gzip
import io
import os
import random
import shutil
import stat
import tarfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest

from serving.archives import extract
from serving.errors import ArchiveError

BLOCK = 512
LIMIT = 1 << 20
Member = tuple[tarfile.TarInfo, bytes]


def file(name: str, content: bytes = b"content", mode: int = 0o644) -> Member:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(content), mode
    return info, content


def special(name: str, kind: bytes, target: str = "") -> Member:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info, b""


def folder(name: str) -> Member:
    return special(name, tarfile.DIRTYPE)


def symlink(name: str, target: str) -> Member:
    return special(name, tarfile.SYMTYPE, target)


def hardlink(name: str, target: str) -> Member:
    return special(name, tarfile.LNKTYPE, target)


def tar(*members: Member, kind: int = tarfile.PAX_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=kind) as archive:
        for info, content in members:
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


class Unpack:
    """Unpacks bytes into a folder, and checks that nothing is left beside it."""

    def __init__(self, top: Path) -> None:
        self.archive = top / "model.tar.gz"
        self.folder = top / "unpacked" / "model"

    def __call__(self, data: bytes, limit: int = LIMIT) -> Path:
        self.archive.write_bytes(data)
        try:
            extract(self.archive, self.folder, limit=limit)
        finally:
            left = [path.name for path in self.folder.parent.glob("*")]
            assert left == (["model"] if self.folder.exists() else [])
        return self.folder


@pytest.fixture
def unpack(tmp_path: Path) -> Unpack:
    return Unpack(tmp_path)


def refusal(unpack: Unpack, data: bytes, limit: int = LIMIT) -> str:
    with pytest.raises(ArchiveError) as caught:
        unpack(data, limit)
    return str(caught.value)


@pytest.mark.parametrize("kind", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("compress", [gzip.compress, bytes])
def test_a_tar_is_unpacked_compressed_or_not(
    unpack: Unpack, kind: int, compress: Callable[[bytes], bytes]
) -> None:
    members = (folder("./"), folder("./code"), file("./code/inference.py", b"1"), file("weights"))
    model = unpack(compress(tar(*members, kind=kind)))
    assert (model / "code" / "inference.py").read_bytes() == b"1"
    assert (model / "weights").read_bytes() == b"content"
    assert len(list(model.rglob("*"))) == 3


def test_folders_need_no_members_of_their_own(unpack: Unpack) -> None:
    assert (unpack(tar(file("a/b/c"))) / "a/b/c").is_file()


def test_of_two_namesakes_the_last_counts(unpack: Unpack) -> None:
    model = unpack(tar(file("a", b"old"), hardlink("b", "a"), file("./a", b"new")))
    assert (model / "a").read_bytes() == b"new"
    assert (model / "b").read_bytes() == b"old"


def test_links_within_the_folder_are_kept(unpack: Unpack) -> None:
    model = unpack(
        tar(
            symlink("latest", "versions/2"),
            symlink("versions/2/weights", "../1/weights"),
            file("versions/1/weights", b"shared"),
            hardlink("copy", "./versions/1/weights"),
        )
    )
    assert (model / "latest" / "weights").read_bytes() == b"shared"
    assert (model / "latest").readlink() == Path("versions/2")
    assert (model / "copy").samefile(model / "versions/1/weights")


def test_only_the_executable_bit_survives(unpack: Unpack) -> None:
    old = os.umask(0o022)
    try:
        model = unpack(
            tar(file("tool", mode=0o6777), file("data", mode=0o1666), file("bare", mode=0o000))
        )
    finally:
        os.umask(old)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in model.iterdir()}
    assert modes == {"tool": 0o755, "data": 0o644, "bare": 0o644}
    assert {path.stat().st_uid for path in model.iterdir()} == {os.geteuid()}


def test_a_sparse_file_is_filled_with_zeros(unpack: Unpack) -> None:
    model = unpack(tar(sparse("weights", size=100_000)))
    assert (model / "weights").read_bytes() == b"data" + bytes(99_996)


def sparse(name: str, size: int) -> Member:
    """A file of GNU's sparse format 1.0: a map of one piece, then the piece."""
    info, content = file(name, b"1\n0\n4\n".ljust(512, b"\0") + b"data")
    info.pax_headers = {
        "GNU.sparse.major": "1",
        "GNU.sparse.minor": "0",
        "GNU.sparse.name": name,
        "GNU.sparse.realsize": str(size),
    }
    return info, content


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ([file("/etc/passwd")], "'/etc/passwd' has an absolute path"),
        ([file("../escape")], "'../escape' has a path with .."),
        ([file("a/../../escape")], "'a/../../escape' has a path with .."),
        ([folder("../escape")], "'../escape' has a path with .."),
        ([symlink("../escape", "a")], "'../escape' has a path with .."),
        ([symlink("a", "/etc/passwd")], "'a' is a link that leaves the folder, to '/etc/passwd'"),
        ([symlink("a", "../b")], "'a' is a link that leaves the folder, to '../b'"),
        ([symlink("d/a", "b/../../../c")], "'d/a' is a link that leaves the folder"),
        ([file("f"), symlink("here", "."), symlink("up", "here/../x")], "'up' cannot be made: No"),
        ([file("f"), symlink("here", "."), symlink("d/up", "../here/..")], "'d/up' is a link that"),
        ([symlink("d", "real"), file("d/f")], "'d' is a link where the archive has a folder"),
        ([file("d/f"), symlink("d", "real")], "'d' is a link where the archive has a folder"),
        ([file("f"), symlink("f", "g")], "'f' is a link where the archive has a folder or another"),
        ([symlink("d", "e"), symlink("d/f", "f"), file("e/g")], "'d/f' is a link where"),
        ([file("f"), symlink("a", "missing")], "'a' cannot be made: No such file or directory"),
        ([file("f"), symlink("a", "b"), symlink("b", "a")], "cannot be made: Too many levels"),
        ([hardlink("a", "/etc/passwd")], "'a' is a hard link to '/etc/passwd'"),
        ([hardlink("a", "../b")], "'a' is a hard link to '../b'"),
        ([hardlink("a", "later"), file("later")], "'a' is a hard link to 'later'"),
        ([file("f"), symlink("l", "f"), hardlink("a", "l")], "'a' is a hard link to 'l'"),
        ([special("null", tarfile.CHRTYPE)], "'null' is a device or a pipe"),
        ([special("disk", tarfile.BLKTYPE)], "'disk' is a device or a pipe"),
        ([special("pipe", tarfile.FIFOTYPE)], "'pipe' is a device or a pipe"),
        ([special("odd", b"Z")], "'odd' is a device or a pipe"),
        ([file("f"), file("f/g")], "'f/g' cannot be made: "),
        ([file("d/f"), file("d")], "'d' cannot be made: "),
        ([file(".")], "'.' cannot be made: "),
        ([file("x" * 256)], "cannot be made: File name too long"),
        ([file("/".join("d" * 65))], "lies more than 64 folders deep"),
        ([file("/".join(["d" * 100] * 50))], "has a path of more than 4,096 characters"),
        ([folder("d")], "it holds no file"),
        ([], "it holds no file"),
    ],
)
def test_a_member_that_may_do_harm_is_refused_by_name(
    unpack: Unpack, members: list[Member], reason: str
) -> None:
    assert reason in refusal(unpack, gzip.compress(tar(*members)))


def test_a_message_names_the_archive_as_the_caller_does(tmp_path: Path) -> None:
    archive = tmp_path / "download"
    archive.write_bytes(tar(file("/a")))
    with pytest.raises(ArchiveError, match=r"^Archive s3://b/m\.tar\.gz is refused: its member "):
        extract(archive, tmp_path / "model", limit=LIMIT, name="s3://b/m.tar.gz")


def test_a_name_with_a_zero_byte_is_refused(unpack: Unpack) -> None:
    info, content = file("a")
    info.pax_headers = {"path": "a\0b"}
    assert "is refused" in refusal(unpack, tar((info, content)))


def test_what_a_member_says_to_have_counts_before_it_is_read(
    unpack: Unpack,
) -> None:
    data = tar(file("small"), file("big", bytes(LIMIT)))
    assert "its member 'big' has 1,048,576 bytes, " in refusal(unpack, data)


def test_a_sparse_file_counts_with_its_holes(unpack: Unpack) -> None:
    message = refusal(unpack, gzip.compress(tar(sparse("weights", size=1 << 40))))
    assert "its member 'weights' has 1,099,511,627,776 bytes" in message
    pair = tar(sparse("a", size=600_000), sparse("b", size=600_000))
    assert "its member 'b' has 600,000 bytes" in refusal(unpack, pair)


def test_bytes_behind_the_last_member_count(unpack: Unpack) -> None:
    data = gzip.compress(tar(file("a")) + bytes(LIMIT))
    assert "it unpacks to more than 1,048,576 bytes" in refusal(unpack, data)


def test_headers_and_padding_count(unpack: Unpack) -> None:
    data = tar(*(file(str(number), b"") for number in range(100)))
    assert len(list(unpack(data, len(data)).iterdir())) == 100


def test_one_byte_less_than_the_archive_unpacks_to_is_too_little(unpack: Unpack) -> None:
    data = tar(file("a"))
    message = refusal(unpack, data, len(data) - 1)
    assert f"it unpacks to more than {len(data) - 1:,} bytes, which is the limit" in message


def test_members_are_limited_in_number(unpack: Unpack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module("serving.archives.extract"), "MAX_MEMBERS", 3)
    members = [file(str(number)) for number in range(4)]
    assert len(list(unpack(tar(*members[:3])).iterdir())) == 3
    shutil.rmtree(unpack.folder)
    assert "it has more than 3 members" in refusal(unpack, tar(*members))


def test_a_compressed_archive_cut_anywhere_is_refused(unpack: Unpack) -> None:
    data = gzip.compress(tar(file("a", random.Random(1).randbytes(3000)), file("b")))
    for length in range(1, len(data), 97):
        assert "is refused: it is " in refusal(unpack, data[:length])
    assert "it is truncated or damaged" in refusal(unpack, data[:-1])


def test_a_plain_archive_cut_anywhere_is_refused(unpack: Unpack) -> None:
    data = tar(file("a", bytes(1000)), file("b"))
    end = data.rindex(b"content") + BLOCK
    for length in range(1, end, 64):
        assert "is refused: it is " in refusal(unpack, data[:length])
    between_members = refusal(unpack, data[: 3 * BLOCK])
    assert "it is truncated or damaged: its end marker is missing" in between_members


def test_a_flipped_bit_is_found_by_the_checksum(unpack: Unpack) -> None:
    data = bytearray(gzip.compress(tar(file("a", random.Random(1).randbytes(3000)))))
    data[len(data) // 2] ^= 1
    assert "it is truncated or damaged" in refusal(unpack, bytes(data))


def test_a_wrong_checksum_at_the_very_end_is_found(unpack: Unpack) -> None:
    data = bytearray(gzip.compress(tar(file("a"))))
    data[-5] ^= 1
    assert "it is truncated or damaged: CRC check failed" in refusal(unpack, bytes(data))


def test_a_damaged_header_does_not_end_the_archive_early(unpack: Unpack) -> None:
    data = bytearray(tar(file("a"), file("b")))
    data[2 * BLOCK] ^= 1
    assert "it is truncated or damaged: its end marker is missing" in refusal(unpack, bytes(data))


def test_metadata_of_absurd_length_is_not_read(unpack: Unpack) -> None:
    info = special("pax", tarfile.XHDTYPE)[0]
    info.size = 1 << 40
    data = info.tobuf(tarfile.GNU_FORMAT)
    assert "a header asks for 1,099,511,627,776 bytes at once" in refusal(unpack, data)


def test_a_header_cannot_point_back(unpack: Unpack) -> None:
    info = file("a")[0]
    info.size = -BLOCK
    data = file("b")[0].tobuf() + bytes(BLOCK) + info.tobuf(tarfile.GNU_FORMAT)
    assert "a header points back to where another one was" in refusal(unpack, data)


def test_a_long_row_of_headers_for_one_member_is_refused(unpack: Unpack) -> None:
    info = special("long", tarfile.GNUTYPE_LONGNAME)[0]
    data = info.tobuf(tarfile.GNU_FORMAT) * 2000 + tar(file("a"))
    assert "is refused: it is damaged" in refusal(unpack, data, len(data) + 10_000)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "it is empty"),
        (b"PK\x03\x04" + bytes(600), "it is a zip archive"),
        (b"BZh91AY&SY" + bytes(600), "it is compressed with bzip2"),
        (b"\xfd7zXZ\x00" + bytes(600), "it is compressed with xz"),
        (b"\x28\xb5\x2f\xfd" + bytes(600), "it is compressed with zstd"),
        (b"a,b\n1,2\n" * 100, "it is no tar archive"),
        (b"short", "it is no tar archive"),
        (gzip.compress(b"a,b\n1,2\n" * 100, mtime=0), "it is no tar archive"),
    ],
)
def test_what_is_no_tar_is_refused_with_what_would_be(
    unpack: Unpack, data: bytes, reason: str
) -> None:
    message = refusal(unpack, data)
    assert reason in message
    assert "a model archive is a .tar.gz of the model's folder, as `serving pack`" in message


def test_an_empty_folder_is_filled(unpack: Unpack) -> None:
    unpack.folder.mkdir(parents=True)
    assert (unpack(tar(file("a"))) / "a").is_file()


def test_a_folder_with_content_is_left_alone(unpack: Unpack) -> None:
    unpack(tar(file("a", b"old")))
    assert "is not empty" in refusal(unpack, tar(file("a", b"new")))
    assert (unpack.folder / "a").read_bytes() == b"old"


def test_what_cannot_be_read_or_written_is_said(tmp_path: Path) -> None:
    archive = tmp_path / "model.tar"
    with pytest.raises(ArchiveError, match="No such file or directory"):
        extract(archive, tmp_path / "model", limit=LIMIT)
    with pytest.raises(ArchiveError, match="Is a directory"):
        extract(tmp_path, tmp_path / "model", limit=LIMIT)
    archive.write_bytes(tar(file("a")))
    with pytest.raises(ArchiveError, match="cannot be unpacked to"):
        extract(archive, archive / "model", limit=LIMIT)
    assert [path.name for path in tmp_path.iterdir()] == ["model.tar"]


def test_progress_goes_from_little_to_all_of_the_archive(tmp_path: Path) -> None:
    archive = tmp_path / "model.tar.gz"
    archive.write_bytes(gzip.compress(tar(file("a", random.Random(1).randbytes(3 << 20)))))
    calls: list[tuple[int, int | None]] = []
    extract(
        archive,
        tmp_path / "model",
        limit=4 << 20,
        progress=lambda done, total: calls.append((done, total)),
    )
    size = archive.stat().st_size
    assert calls == sorted(calls)
    assert 3 <= len(calls) <= 5
    assert calls[-1] == (size, size)
    assert {total for _, total in calls} == {size}
