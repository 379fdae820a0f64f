"""A model repository on premises, which does what SageMaker's platform does on its endpoints."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from threading import Event

import boto3
import pytest
from moto.server import ThreadedMotoServer

from serving import archives
from tests.contract import heavy
from tests.contract.cases import get
from tests.contract.conftest import Files
from tests.contract.heavy import ROW, value
from tests.contract.many import HIGH, LOW, Many, own_repository, refused, told
from tests.contract.places import MODELS, Place
from tests.models import classes, stump
from tests.support import Answer, healthy, serving

STUMP: Files = {"xgboost-model": bytes(stump().save_raw("ubj"))}
CLASSES: Files = {"xgboost-model": bytes(classes().save_raw("ubj"))}
EQUALLY_LIKELY = b"0.25,0.25,0.25,0.25\n"

LOADS = 'serving_models_total{event="loaded"}'
EVICTIONS = 'serving_models_total{event="evicted"}'


def archive(path: Path, files: Files) -> None:
    """Put an archive in place as a whole, also of one that is there."""
    with TemporaryDirectory() as folder:
        for name, content in files.items():
            (Path(folder) / name).write_bytes(
                content.encode() if isinstance(content, str) else content
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        archives.pack(Path(folder), path)


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository to which tests add models under names of their own."""
    return tmp_path_factory.mktemp("shelf")


@pytest.fixture
def many(place: Place, shelf: Path) -> Many:
    """A server of it, which tests share."""
    seen = place.seen(shelf, at=MODELS)
    given = {"SERVING_REPOSITORY": str(seen), "SERVING_REPOSITORY_SECONDS": "0"}
    return Many(place.serve(shelf, at=MODELS, **given), seen)


Put = Callable[[Files], str]


@pytest.fixture
def put(shelf: Path, tmp_path: Path) -> Put:
    """Puts an archive into the repository, and gives the name that it has there."""
    numbers = count()

    def put(files: Files) -> str:
        name = f"{tmp_path.name}/{next(numbers)}.tar.gz"
        archive(shelf / name, files)
        return name

    return put


class TestFirstUse:
    def test_a_model_is_loaded_when_it_is_first_asked_for(self, many: Many, put: Put) -> None:
        name = put(STUMP)
        assert name not in many.names
        assert many.target(name, HIGH).body == b"3.0\n"
        assert told(many.describe(name))["modelUrl"].endswith(f"/{name}")
        assert many.target(name, LOW).body == b"1.0\n"

    def test_each_name_is_a_model_of_its_own(self, many: Many, put: Put) -> None:
        one, other = put(STUMP), put(CLASSES)
        assert many.target(one).body == b"1.0\n"
        assert many.target(other).body == EQUALLY_LIKELY
        assert many.target(one).body == b"1.0\n"

    def test_a_directory_is_a_model_too(self, many: Many, shelf: Path, tmp_path: Path) -> None:
        folder = shelf / f"{tmp_path.name} with space%20"
        folder.mkdir()
        stump().save_model(folder / "model.json")
        assert many.target(folder.name, HIGH).body == b"3.0\n"

    def test_all_who_ask_meanwhile_wait_for_one_load(self, many: Many, put: Put) -> None:
        name, before = put(heavy.onnx_table(7, 8)), many.count(LOADS)
        with ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(lambda _: many.target(name, ROW), range(16)))
        assert {value(answer) for answer in answers} == {7}
        assert many.count(LOADS) - before == 1

    def test_one_that_is_new_is_found(self, many: Many, put: Put, shelf: Path) -> None:
        name = put(STUMP)
        (shelf / name).rename(shelf / f"{name}.away")
        message = f"Model not found in model store: {name}"
        assert refused(many.target(name)) == (404, "ModelNotFoundException", message)
        (shelf / f"{name}.away").rename(shelf / name)
        assert many.target(name).body == b"1.0\n"

    def test_the_platforms_interface_is_there_too(self, many: Many, put: Put) -> None:
        name = put(STUMP)
        assert many.invoke(name).status == 404
        assert many.target(name).status == 200
        assert many.invoke(name, HIGH).body == b"3.0\n"
        assert many.unload(name).status == 200
        assert many.invoke(name).status == 404
        assert many.target(name, HIGH).body == b"3.0\n"


class TestRefusals:
    def test_without_the_header_nobody_is_asked(self, many: Many) -> None:
        status, kind, message = refused(many.target(""))
        assert (status, kind) == (400, "BadRequest")
        assert "X-Amzn-SageMaker-Target-Model" in message

    @pytest.mark.parametrize(
        "name",
        [
            "..",
            "../shelf/a.tar.gz",
            "a/../../etc/passwd",
            "/etc/passwd",
            "./a",
            "a//b",
            "a/",
            "a\\..\\b",
            "file:///etc/passwd",
            "s3://bucket/a.tar.gz",
            "x" * 1025,
        ],
    )
    def test_a_name_that_leads_elsewhere_is_refused(self, many: Many, name: str) -> None:
        status, kind, message = refused(many.target(name))
        assert (status, kind) == (400, "BadRequest")
        assert "cannot be a model" in message

    @pytest.mark.parametrize("name", ["none.tar.gz", "no/folder/none.tar.gz", "x" * 1024, "%2e%2e"])
    def test_what_is_not_there_is_not_found(self, many: Many, name: str) -> None:
        message = f"Model not found in model store: {name}"
        assert refused(many.target(name)) == (404, "ModelNotFoundException", message)

    @pytest.mark.parametrize("content", [b"", b"no archive", b"\x1f\x8b\x08\x00"])
    def test_a_corrupt_archive_leaves_nothing_and_a_good_one_takes_its_place(
        self, many: Many, shelf: Path, put: Put, content: bytes
    ) -> None:
        name = put(STUMP)
        (shelf / name).write_bytes(content)
        before = many.names
        for _ in range(2):
            status, kind, message = refused(many.target(name))
            assert (status, kind) == (500, "ArchiveError")
            assert Path(name).name in message
        assert many.names == before
        archive(shelf / name, STUMP)
        assert many.target(name).body == b"1.0\n"

    def test_a_model_that_cannot_be_loaded_says_why(self, many: Many, put: Put) -> None:
        name = put({"xgboost-model": STUMP["xgboost-model"][:-100]})
        status, kind, message = refused(many.target(name))
        assert (status, kind) == (500, "ModelLoadError")
        assert "xgboost-model is damaged" in message
        assert name not in many.names

    def test_the_server_stays_healthy(self, many: Many) -> None:
        assert many.server.ask(get("/ping")) == Answer(200, {}, b"")


class TestMemory:
    def test_more_than_fit_are_all_answered(self, place: Place, tmp_path: Path) -> None:
        for number in range(8):
            archive(tmp_path / f"{number}.tar.gz", heavy.onnx_table(number, 4))
        archive(tmp_path / "pinned.tar.gz", heavy.onnx_table(100, 4))
        environment = {"SERVING_MODEL_MEMORY_MB": "18", "SERVING_PINNED": "pinned.tar.gz"}
        with own_repository(place, tmp_path, **environment) as many:
            random = Random(1)
            asked = [random.randrange(8) for _ in range(120)]
            with ThreadPoolExecutor(4) as pool:
                answers = pool.map(lambda number: many.target(f"{number}.tar.gz", ROW), asked)
                assert [value(answer) for answer in answers] == asked
            assert many.count(EVICTIONS) > 0
            assert many.count("serving_models_loaded ") <= 4
            assert "pinned.tar.gz" in many.names
            assert value(many.target("pinned.tar.gz", ROW)) == 100

    def test_the_one_used_last_stays_longest(self, place: Place, tmp_path: Path) -> None:
        for name in "abcd":
            archive(tmp_path / name, heavy.onnx_table(ord(name), 4))
        with own_repository(place, tmp_path, SERVING_MODEL_MEMORY_MB="14") as many:
            for name in ("a", "b", "a", "c", "a", "d"):
                assert value(many.target(name, ROW)) == ord(name)
            assert "a" in many.names
            assert "d" in many.names
            assert "b" not in many.names

    def test_what_can_never_fit_is_refused_and_the_others_stay_usable(
        self, place: Place, tmp_path: Path
    ) -> None:
        archive(tmp_path / "small", heavy.onnx_table(1, 4))
        archive(tmp_path / "large", heavy.onnx_table(2, 24))
        with own_repository(place, tmp_path, SERVING_MODEL_MEMORY_MB="12") as many:
            assert value(many.target("small", ROW)) == 1
            status, kind, message = refused(many.target("large", ROW))
            assert (status, kind) == (507, "InsufficientStorage")
            assert "large" in message
            assert value(many.target("small", ROW)) == 1
            assert many.names == ["small"]

    def test_memory_of_those_that_left_is_back(self, place: Place, tmp_path: Path) -> None:
        for number in range(12):
            archive(tmp_path / str(number), heavy.onnx_table(number, 8))
        with own_repository(place, tmp_path, SERVING_MODEL_MEMORY_MB="20") as many:

            def ask_all() -> None:
                for number in range(12):
                    assert value(many.target(str(number), ROW)) == number

            ask_all()
            before = many.memory()
            ask_all()
            # Two fit. Of those that left last, the memory may follow a second later.
            assert many.memory() - before < 4 * 8 * heavy.MIB


class TestPinned:
    def test_it_is_there_when_the_server_is_ready(self, place: Place, tmp_path: Path) -> None:
        archive(tmp_path / "team" / "a.tar.gz", STUMP)
        archive(tmp_path / "b.tar.gz", STUMP)
        archive(tmp_path / "c.tar.gz", STUMP)
        with own_repository(place, tmp_path, SERVING_PINNED="team/a.tar.gz, b.tar.gz") as many:
            assert many.names == ["b.tar.gz", "team/a.tar.gz"]
            assert told(many.describe("b.tar.gz"))["loadedAtStartup"] is True
            many.kill_worker()
            many.server.wait_until(healthy)
            assert many.names == ["b.tar.gz", "team/a.tar.gz"]
            assert many.target("c.tar.gz").body == b"1.0\n"
            assert told(many.describe("c.tar.gz"))["loadedAtStartup"] is False

    def test_the_server_is_not_ready_where_one_cannot_be_loaded(
        self, place: Place, tmp_path: Path
    ) -> None:
        (tmp_path / "a.tar.gz").write_bytes(b"no archive")
        with own_repository(place, tmp_path, SERVING_PINNED="a.tar.gz") as many:
            answer = many.server.ask(get("/ping"))
            assert answer.status == 503
            assert b"a.tar.gz failed to load" in answer.body

    def test_a_server_does_not_start_where_one_is_not_there(
        self, place: Place, tmp_path: Path
    ) -> None:
        repository = str(place.seen(tmp_path, at=MODELS))
        ended = place.fails(
            tmp_path, at=MODELS, SERVING_REPOSITORY=repository, SERVING_PINNED="a.tar.gz"
        )
        assert ended.status == 1
        assert "Model not found in model store: a.tar.gz" in ended.log


class Clients:
    """Clients that ask for one model until they are stopped."""

    def __init__(self, many: Many, name: str, pool: ThreadPoolExecutor) -> None:
        self._over = Event()
        self._many = many
        self._name = name
        self._clients = [pool.submit(self._ask) for _ in range(4)]

    def _ask(self) -> list[Answer]:
        answers = []
        while not self._over.is_set():
            answers.append(self._many.target(self._name, ROW))
        return answers

    def stop(self) -> list[list[float]]:
        """The values that each was answered, in their order; each answer was good."""
        self._over.set()
        return [[value(answer) for answer in client.result()] for client in self._clients]


class TestVersions:
    @pytest.fixture
    def pool(self) -> Iterator[ThreadPoolExecutor]:
        with ThreadPoolExecutor() as pool:
            yield pool

    def test_a_new_one_takes_over_while_clients_ask(
        self, many: Many, shelf: Path, put: Put, pool: ThreadPoolExecutor
    ) -> None:
        name = put(heavy.onnx_table(1, 2))
        assert value(many.target(name, ROW)) == 1
        clients = Clients(many, name, pool)
        try:
            for version in (2, 3, 4):
                archive(shelf / name, heavy.onnx_table(version, 2))
                while value(many.target(name, ROW)) != version:
                    assert name in many.names
        finally:
            seen = clients.stop()
        assert all(values == sorted(values) for values in seen)
        assert {2.0, 3.0} < {value for values in seen for value in values}

    def test_one_that_is_broken_leaves_the_old_one_until_a_good_one_comes(
        self, many: Many, shelf: Path, put: Put, pool: ThreadPoolExecutor
    ) -> None:
        name = put(heavy.onnx_table(1, 2))
        assert value(many.target(name, ROW)) == 1
        clients = Clients(many, name, pool)
        try:
            for broken in (b"no archive", b"\x1f\x8b\x08\x00"):
                draft = shelf / f"{name}.draft"
                draft.write_bytes(broken)
                before = many.server.log.count("is left out")
                draft.replace(shelf / name)
                while many.server.log.count("is left out") == before:
                    assert value(many.target(name, ROW)) == 1
            archive(shelf / name, heavy.onnx_table(2, 2))
            while value(many.target(name, ROW)) != 2:
                assert name in many.names
        finally:
            seen = clients.stop()
        assert all(values == sorted(values) for values in seen)

    def test_what_is_gone_is_served_until_it_leaves(
        self, many: Many, shelf: Path, put: Put
    ) -> None:
        name = put(STUMP)
        for _ in range(2):
            assert many.target(name).body == b"1.0\n"
            (shelf / name).unlink(missing_ok=True)
        assert many.target(name).body == b"1.0\n"
        assert many.unload(name).status == 200
        assert many.target(name).status == 404


class TestObjectStore:
    """A repository at an address, which moto keeps. The image is built without what S3 needs."""

    @pytest.fixture
    def store(self) -> Iterator[str]:
        """The address of a server that stands for S3."""
        server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        server.start()
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
        server.stop()

    def test_models_come_from_it_in_their_newest_version(self, store: str, tmp_path: Path) -> None:
        access = {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any"}
        keys = {name.lower(): value for name, value in access.items()}
        s3 = boto3.client("s3", endpoint_url=store, region_name="us-east-1", **keys)
        s3.create_bucket(Bucket="bucket")

        def upload(name: str, files: Files) -> None:
            archive(tmp_path / "draft", files)
            s3.upload_file(str(tmp_path / "draft"), "bucket", f"models/{name}")

        upload("team/a b.tar.gz", STUMP)
        variables = {
            **access,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": store,
            "SERVING_REPOSITORY": "s3://bucket/models",
            "SERVING_REPOSITORY_SECONDS": "0",
        }
        with serving(tmp_path, tmp_path, **variables) as server:
            many = Many(server, Path())
            assert many.target("team/a b.tar.gz").body == b"1.0\n"
            message = "Model not found in model store: later.tar.gz"
            assert refused(many.target("later.tar.gz")) == (404, "ModelNotFoundException", message)
            upload("later.tar.gz", CLASSES)
            assert many.target("later.tar.gz").body == EQUALLY_LIKELY
            assert many.names == ["later.tar.gz", "team/a b.tar.gz"]
            upload("team/a b.tar.gz", CLASSES)
            while (answer := many.target("team/a b.tar.gz")).body != EQUALLY_LIKELY:
                assert answer.body == b"1.0\n"
            assert refused(many.target("../other/a"))[0] == 400
