"""Which codec reads which Content-Type, and what codecs share."""

import numpy as np
import pytest

from serving.codecs import BY_NAME, CODECS, find
from serving.codecs.base import row_count
from serving.errors import NotAcceptable, UnsupportedMediaType
from serving.media import parse

ALL = tuple(codec.media_type for codec in CODECS)


@pytest.mark.parametrize(
    ("content_type", "media_type"),
    [
        ("text/csv; charset=utf-8", "text/csv"),
        ("csv", "text/csv"),
        ("application/csv", "text/csv"),
        ("Application/JSON", "application/json"),
        ("application/jsonlines", "application/jsonlines"),
        ("application/x-ndjson", "application/jsonlines"),
        ("text/x-libsvm", "text/libsvm"),
        ("libsvm", "text/libsvm"),
        ("application/x-npy", "application/x-npy"),
        ("application/npz", "application/x-npz"),
        ("recordio-protobuf", "application/x-recordio-protobuf"),
    ],
)
def test_a_codec_is_found_by_each_of_its_names(content_type: str, media_type: str) -> None:
    assert find(parse(content_type), ALL).media_type == media_type


def test_no_two_codecs_share_a_name() -> None:
    assert len(BY_NAME) == sum(1 + len(codec.aliases) for codec in CODECS)


@pytest.mark.parametrize("content_type", ["text/plain", "text/libsvm"])
def test_what_a_model_does_not_read_is_refused_with_what_it_reads(content_type: str) -> None:
    with pytest.raises(UnsupportedMediaType, match="this model reads text/csv, application/json"):
        find(parse(content_type), ("text/csv", "application/json"))


def test_outputs_of_a_table_have_equal_numbers_of_rows() -> None:
    assert row_count({"a": np.zeros((3, 2)), "b": np.zeros(3)}, "text/csv") == 3
    assert row_count({"a": np.array(1.0)}, "text/csv") == 1
    assert row_count({}, "text/csv") == 0
    with pytest.raises(
        NotAcceptable, match=r"text/csv writes outputs row by row.* a has 3, b has 1"
    ):
        row_count({"a": np.zeros(3), "b": np.array(1.0)}, "text/csv")
