"""The Record message, compared with the protobuf library's reading and writing of it."""

from typing import Any

import numpy as np
import pytest
from google.protobuf import (  # type: ignore[import-untyped]
    descriptor_pb2,
    descriptor_pool,
    message_factory,
)
from google.protobuf.message import (  # type: ignore[import-untyped]
    DecodeError as ProtobufError,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from serving.codecs.record import Tensor, read_feature, write
from serving.errors import DecodeError

Field = descriptor_pb2.FieldDescriptorProto


def record_class() -> Any:
    """The message class of the schema in ``serving.codecs.record``."""
    file = descriptor_pb2.FileDescriptorProto(name="record.proto", package="aialgs.data")

    def message(name: str, *fields: tuple[str, int, int, str], repeated: bool = False) -> Any:
        added = file.message_type.add(name=name)
        label = Field.LABEL_REPEATED if repeated else Field.LABEL_OPTIONAL
        for field, number, kind, type_name in fields:
            item = added.field.add(name=field, number=number, type=kind, label=label)
            if type_name:
                item.type_name = type_name
            if repeated and kind != Field.TYPE_BYTES:
                item.options.packed = True
        return added

    for name, kind in (
        ("Float32Tensor", Field.TYPE_FLOAT),
        ("Float64Tensor", Field.TYPE_DOUBLE),
        ("Int32Tensor", Field.TYPE_INT32),
    ):
        message(
            name,
            ("values", 1, kind, ""),
            ("keys", 2, Field.TYPE_UINT64, ""),
            ("shape", 3, Field.TYPE_UINT64, ""),
            repeated=True,
        )
    message("Bytes", ("value", 1, Field.TYPE_BYTES, ""), repeated=True)
    value = message(
        "Value",
        ("float32_tensor", 2, Field.TYPE_MESSAGE, ".aialgs.data.Float32Tensor"),
        ("float64_tensor", 3, Field.TYPE_MESSAGE, ".aialgs.data.Float64Tensor"),
        ("int32_tensor", 7, Field.TYPE_MESSAGE, ".aialgs.data.Int32Tensor"),
        ("bytes", 9, Field.TYPE_MESSAGE, ".aialgs.data.Bytes"),
    )
    value.oneof_decl.add(name="value")
    for field in value.field:
        field.oneof_index = 0
    record = message(
        "Record",
        ("uid", 3, Field.TYPE_STRING, ""),
        ("metadata", 4, Field.TYPE_STRING, ""),
        ("configuration", 5, Field.TYPE_STRING, ""),
    )
    for name, entry_name, number in (("features", "FeaturesEntry", 1), ("label", "LabelEntry", 2)):
        entry = record.nested_type.add(name=entry_name)
        entry.options.map_entry = True
        entry.field.add(name="key", number=1, type=Field.TYPE_STRING, label=Field.LABEL_OPTIONAL)
        entry.field.add(
            name="value",
            number=2,
            type=Field.TYPE_MESSAGE,
            type_name=".aialgs.data.Value",
            label=Field.LABEL_OPTIONAL,
        )
        record.field.add(
            name=name,
            number=number,
            type=Field.TYPE_MESSAGE,
            type_name=f".aialgs.data.Record.{entry_name}",
            label=Field.LABEL_REPEATED,
        )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("aialgs.data.Record"))


Record = record_class()
FIELDS = {"float32": "float32_tensor", "float64": "float64_tensor", "int32": "int32_tensor"}

dtypes = st.sampled_from([np.float32, np.float64, np.int32])
numbers = st.lists(st.integers(0, 2**64 - 1), max_size=4)
tensors = st.builds(Tensor, hnp.arrays(dtypes, st.integers(0, 5)), numbers, numbers)
maps = st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=4), tensors, max_size=3)


def fill(target: Any, tensor: Tensor) -> None:
    message = getattr(target, FIELDS[tensor.values.dtype.name])
    message.SetInParent()
    message.values.extend(tensor.values.tolist())
    message.keys.extend(tensor.keys)
    message.shape.extend(tensor.shape)


def assert_equal(tensor: Tensor, value: Any) -> None:
    which = value.WhichOneof("value")
    message = getattr(value, which or "float32_tensor")
    expected = np.array(message.values, tensor.values.dtype)
    assert FIELDS[tensor.values.dtype.name] == (which or "float32_tensor")
    assert tensor.values.tobytes() == expected.tobytes()
    assert list(tensor.keys) == list(message.keys)
    assert list(tensor.shape) == list(message.shape)


@settings(deadline=None)
@given(maps, maps, st.text(st.characters(codec="utf-8"), max_size=4))
def test_features_are_read_as_the_protobuf_library_writes_them(
    features: dict[str, Tensor], label: dict[str, Tensor], uid: str
) -> None:
    record = Record(uid=uid, metadata="{}")
    for name, tensor in features.items():
        fill(record.features[name], tensor)
    for name, tensor in label.items():
        fill(record.label[name], tensor)
    data = memoryview(record.SerializeToString())
    for name in features:
        assert_equal(read_feature(data, name), record.features[name])


@settings(deadline=None)
@given(maps, maps)
def test_records_are_written_as_the_protobuf_library_reads_them(
    features: dict[str, Tensor], label: dict[str, Tensor]
) -> None:
    record = Record.FromString(write(features, label))
    assert record.features.keys() == features.keys()
    assert record.label.keys() == label.keys()
    for name, tensor in features.items():
        assert_equal(tensor, record.features[name])
    for name, tensor in label.items():
        assert_equal(tensor, record.label[name])


def field(number: int, content: bytes) -> bytes:
    assert number < 16
    assert len(content) < 128
    return bytes([number << 3 | 2, len(content)]) + content


def feature(value: bytes) -> bytes:
    return field(1, field(1, b"values") + field(2, value))


ONE, TWO = b"\x00\x00\x80\x3f", b"\x00\x00\x00\x40"

UNUSUAL = [
    pytest.param(feature(field(2, b"\x0d" + ONE + field(1, TWO))), id="unpacked and packed"),
    pytest.param(feature(field(7, b"\x08\x05\x08\x06\x10\x01\x10\x02")), id="unpacked varints"),
    pytest.param(feature(field(2, field(1, ONE)) + field(2, field(1, TWO))), id="tensor in pieces"),
    pytest.param(feature(field(2, field(1, ONE)) + field(3, b"")), id="last of a oneof"),
    pytest.param(
        feature(field(2, field(1, ONE)) + field(3, b"") + field(2, field(1, TWO))),
        id="oneof set back and forth",
    ),
    pytest.param(feature(field(2, field(1, ONE))) + feature(b""), id="last of equal keys"),
    pytest.param(
        field(1, field(2, field(2, field(1, ONE))) + field(1, b"values")), id="value first"
    ),
    pytest.param(
        field(1, field(1, b"x") + field(1, b"values") + field(2, field(2, field(1, ONE)))),
        id="last name of an entry",
    ),
    pytest.param(field(1, field(1, b"values")), id="entry without a value"),
    pytest.param(
        b"\x78\x05" + b"\x75" + ONE + b"\x71" + ONE + TWO + feature(field(2, field(1, ONE))),
        id="unknown fields",
    ),
    pytest.param(feature(field(7, field(1, b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01"))), id="-2"),
    pytest.param(feature(field(7, field(1, b"\xfe\xff\xff\xff\x0f"))), id="-2 in 32 bits"),
    pytest.param(feature(field(2, field(2, b"\x81\x00"))), id="number with a needless byte"),
    pytest.param(feature(field(2, b"\x08\x01" + field(1, ONE))), id="values of another wire type"),
]


@pytest.mark.parametrize("data", UNUSUAL)
def test_unusual_encodings_are_read_as_the_protobuf_library_reads_them(data: bytes) -> None:
    assert_equal(
        read_feature(memoryview(data), "values"), Record.FromString(data).features["values"]
    )


MALFORMED = [
    pytest.param(b"\x0a", id="no length"),
    pytest.param(b"\x0a\x05abc", id="field cut off"),
    pytest.param(b"\x0a\xff\xff\xff\xff\x07", id="length far beyond the end"),
    pytest.param(b"\x0a" + b"\xff" * 9 + b"\x01", id="length of 64 bits"),
    pytest.param(b"\xff" * 11, id="endless number"),
    pytest.param(b"\x02\x00", id="field number 0"),
    pytest.param(b"\x0c", id="end of a group"),
    pytest.param(b"\x0f", id="wire type 7"),
    pytest.param(b"\x1d\x00", id="32 bits cut off"),
    pytest.param(feature(field(2, field(1, ONE + b"\x00"))), id="half a float"),
    pytest.param(feature(field(2, field(2, b"\x80"))), id="half a number"),
    pytest.param(feature(field(2, field(2, b"\x80" * 10 + b"\x01"))), id="number of 11 bytes"),
]


@pytest.mark.parametrize("data", MALFORMED)
def test_malformed_messages_are_refused_as_the_protobuf_library_does(data: bytes) -> None:
    with pytest.raises(ProtobufError):
        Record.FromString(data)
    with pytest.raises(DecodeError):
        read_feature(memoryview(data), "values")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no feature 'values'; it has none"),
        (field(1, field(1, b"age")), "no feature 'values'; its features are 'age'"),
        (feature(field(9, field(1, b"x"))), "holds bytes"),
        (b"\x0b\x0c", "wire type 3"),
    ],
)
def test_what_is_not_read_is_named(data: bytes, message: str) -> None:
    with pytest.raises(DecodeError, match=message):
        read_feature(memoryview(data), "values")
