"""Contract §4.4: what an XGBoost model reads, and what it refuses."""

import pytest

from tests.contract.boosters import raw
from tests.contract.cases import get, post
from tests.contract.conftest import MakeModel
from tests.contract.places import Place
from tests.contract.xgboost.support import (
    ANSWER,
    CSV,
    LIBSVM,
    RECORDIO,
    TWO_ROWS,
    ask,
    refused,
    row,
)
from tests.models import stump
from tests.support import Answer, Server


class TestRequests:
    def test_an_empty_body_is_a_204(self, server: Server) -> None:
        assert server.ask(post(b"", content_type=CSV)) == Answer(204, {}, b"")

    @pytest.mark.parametrize(
        "content_type",
        [
            *("csv", "text/csv", "Text/CSV", "text/csv; label_size=1"),
            *("text/csv;label_size = 1", "text/csv; charset=utf-8; label_size=1"),
        ],
    )
    def test_csv_has_these_names_and_parameters(self, server: Server, content_type: str) -> None:
        assert ask(server, content_type=content_type).body == ANSWER

    def test_a_label_size_other_than_one_is_a_415(self, server: Server) -> None:
        assert refused(ask(server, content_type="text/csv; label_size=2"))[0] == 415

    @pytest.mark.parametrize("content_type", ["libsvm", "text/libsvm", "text/x-libsvm", ""])
    def test_libsvm_has_these_names_and_is_the_default(
        self, server: Server, content_type: str
    ) -> None:
        assert ask(server, b"0 1:0 2:5\n0 1:2 2:5\n", content_type).body == ANSWER

    @pytest.mark.parametrize("content_type", ["recordio-protobuf", RECORDIO])
    def test_recordio_protobuf_has_these_names(self, server: Server, content_type: str) -> None:
        body = row([0, 5], "f4") + row([2, 5], "f4")
        assert ask(server, body, content_type).body == ANSWER

    @pytest.mark.parametrize(
        "content_type", ["application/x-parquet", "parquet", "image/png", "text/plain"]
    )
    def test_other_types_are_a_415_that_names_those_that_are_read(
        self, server: Server, content_type: str
    ) -> None:
        status, message = refused(ask(server, content_type=content_type))
        assert status == 415
        assert message.startswith(f"{content_type} is not an accepted Content-Type")
        assert all(name in message for name in (CSV, LIBSVM, RECORDIO))

    @pytest.mark.parametrize(
        ("name", "content_type", "body"),
        [
            ("csv", CSV, b"1,many"),
            ("libsvm", LIBSVM, b"0 one:1"),
            ("recordio-protobuf", RECORDIO, b"no recordio"),
        ],
    )
    def test_what_cannot_be_parsed_is_a_415_in_the_containers_words(
        self, server: Server, name: str, content_type: str, body: bytes
    ) -> None:
        status, message = refused(ask(server, body, content_type))
        assert status == 415
        assert message.startswith(
            f"Loading {name} data failed with Exception, please ensure data is in {name} format:\n"
        )

    @pytest.mark.parametrize("delimiter", [",", ";", "\t", "|", " "])
    def test_the_delimiter_of_csv_is_found_out(self, server: Server, delimiter: str) -> None:
        assert ask(server, TWO_ROWS.replace(b",", delimiter.encode())).body == ANSWER

    def test_csv_is_stripped_and_an_empty_cell_is_missing(self, server: Server) -> None:
        assert ask(server, b"\n0,5\n2,5\n\n").body == ANSWER
        assert ask(server, b",5\n0,").body == b"3.0\n1.0\n"

    def test_libsvm_counts_from_one_unless_it_has_a_zero(self, server: Server) -> None:
        assert ask(server, b"0 1:0 2:5\n0 1:2", LIBSVM).body == ANSWER
        assert ask(server, b"0 0:0 1:5\n0 0:2", LIBSVM).body == ANSWER

    @pytest.mark.parametrize("dtype", ["f4", "f8", "i4"])
    def test_recordio_has_tensors_of_these_types_dense_and_sparse(
        self, server: Server, dtype: str
    ) -> None:
        dense = row([0, 5], dtype) + row([2, 5], dtype)
        assert ask(server, dense, RECORDIO).body == ANSWER
        sparse = row([0], dtype, keys=(0,), width=2) + row([2, 5], dtype, keys=(0, 1), width=2)
        assert ask(server, sparse, RECORDIO).body == ANSWER

    def test_what_does_not_fit_the_model_is_a_400_in_the_containers_words(
        self, server: Server
    ) -> None:
        for body, content_type in (
            (b"1,2,3", CSV),
            (b"0 1:1 2:1 3:1 4:1", LIBSVM),
            (row([1, 2, 3], "f4"), RECORDIO),
        ):
            status, message = refused(ask(server, body, content_type))
            assert status == 400
            assert message.startswith("Unable to evaluate payload provided: ")
            assert "2 features" in message

    def test_a_model_that_cannot_be_loaded_is_a_server_error_with_the_reason(
        self, place: Place, make_model: MakeModel
    ) -> None:
        server = place.serve(make_model({"xgboost-model": raw(stump())[:-100]}))
        for answer in (server.ask(get("/ping")), ask(server)):
            status, message = refused(answer)
            assert status >= 500
            assert "The model failed to load: xgboost-model is damaged" in message
