"""Content-Type and Accept: what is read, what is chosen, what is refused."""

import string
from itertools import permutations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from serving.errors import NotAcceptable, UnsupportedMediaType
from serving.media import MAX_LENGTH, MediaType, choose, parse, settled
from serving.values import Request

CSV, JSON, LINES = "text/csv", "application/json", "application/jsonlines"
OFFERS = (CSV, JSON, LINES)

TOKENS = st.text(string.ascii_lowercase + string.digits + "-+.", min_size=1, max_size=8)
QUOTABLE = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1)
HOSTILE = st.text("a*01;=,'\"%f\\ /\x00\r\né\ud800", max_size=40) | st.text(max_size=40)


@pytest.mark.parametrize(
    ("value", "parsed"),
    [
        ("text/csv", MediaType("text/csv")),
        ("  Text/CSV  ", MediaType("text/csv")),
        ("csv", MediaType("csv")),
        ("text/csv;charset=utf-8", MediaType("text/csv", (("charset", "utf-8"),))),
        ("text/csv ; Charset = UTF-8", MediaType("text/csv", (("charset", "UTF-8"),))),
        ('text/csv; charset="utf-8"', MediaType("text/csv", (("charset", "utf-8"),))),
        (
            "text/csv; label_size=1; header=absent",
            MediaType("text/csv", (("label_size", "1"), ("header", "absent"))),
        ),
        (r'a/b; x="semi;colon \"and\" =,"', MediaType("a/b", (("x", 'semi;colon "and" =,'),))),
        ("a/b; flag", MediaType("a/b", (("flag", ""),))),
        ("a/b;;; ;", MediaType("a/b")),
        (
            'a/b; x="' + "\\\\" + '"; y="' + "\\" + '";"',
            MediaType("a/b", (("x", "\\"), ("y", '";'))),
        ),
        ('a/b; x="open; y=1', MediaType("a/b", (("x", '"open'), ("y", "1")))),
        ('a/b; x="1" 2; y=1', MediaType("a/b", (("x", "1"), ("y", "1")))),
        ("a/b; charset*=utf-8''x", MediaType("a/b", (("charset*", "utf-8''x"),))),
        ("application/vnd.x+json", MediaType("application/vnd.x+json")),
    ],
)
def test_a_content_type_is_read_with_its_parameters(value: str, parsed: MediaType) -> None:
    assert parse(value) == parsed


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        ";charset=utf-8",
        "/",
        "text/",
        "/csv",
        "text/csv/x",
        "text csv",
        "text/csv, text/csv",
        "text/csv=x",
        "text/csv\r\nx: y",
        "téxt/csv",
        "*/(",
    ],
)
def test_what_is_no_media_type_is_refused_and_an_example_given(value: str) -> None:
    with pytest.raises(UnsupportedMediaType, match=r"not a media type; text/csv would be one"):
        parse(value)


def test_a_content_type_has_a_bounded_length() -> None:
    assert parse("a/b;x=" + "y" * (MAX_LENGTH - 6)).parameter("x") == "y" * (MAX_LENGTH - 6)
    with pytest.raises(UnsupportedMediaType, match=f"longer than {MAX_LENGTH} characters"):
        parse("a/b;x=" + "y" * (MAX_LENGTH - 5))


def test_a_parameter_that_is_absent_has_a_default() -> None:
    media = parse("text/csv; charset=latin1")
    assert media.parameter("charset", "utf-8") == "latin1"
    assert media.parameter("header") == ""
    assert media.parameter("header", "absent") == "absent"


@given(TOKENS, TOKENS, st.lists(st.tuples(TOKENS, QUOTABLE), max_size=4, unique_by=lambda p: p[0]))
def test_quoted_values_come_back_as_they_were(
    kind: str, subtype: str, parameters: list[tuple[str, str]]
) -> None:
    escaped = [
        (name, value.replace("\\", "\\\\").replace('"', '\\"')) for name, value in parameters
    ]
    value = f"{kind}/{subtype}" + "".join(f'; {name}="{text}"' for name, text in escaped)
    assert parse(value) == MediaType(f"{kind}/{subtype}", tuple(parameters))


@given(HOSTILE)
def test_any_content_type_is_read_as_text_or_refused(value: str) -> None:
    for text in (value, f"text/csv;{value}"):
        try:
            media = parse(text)
        except UnsupportedMediaType:
            continue
        assert media.essence == media.essence.strip().lower()
        assert all(isinstance(part, str) for pair in media.parameters for part in pair)


@pytest.mark.parametrize("accept", ["", " ", ",", " , ,", "*/*", "*/*;q=0.1", "application/*,*/*"])
def test_who_has_no_preference_gets_the_default(accept: str) -> None:
    offers = OFFERS if "application" not in accept else (JSON, CSV, LINES)
    assert choose(accept, offers) == offers[0]


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("application/json", JSON),
        ("APPLICATION/JSON", JSON),
        ("application/json; charset=utf-8", JSON),
        ("image/png, application/json", JSON),
        ("application/json;q=0.5, text/csv;q=0.4", JSON),
        ("text/csv;q=0.4 , application/json ; q=0.5", JSON),
        ("text/csv;q=0, */*", JSON),
        ("text/*;q=0, */*;q=0.1", JSON),
        ("text/csv;q=0.1, */*;q=0.2", JSON),
        ("*/*;q=0.9, text/csv;q=1", CSV),
        ("application/*;q=0.9, application/json;q=0.1", LINES),
        ("application/json;Q=0.3, text/csv;q=0.2", JSON),
        ("application/json;v=1;q=0.3, text/csv;q=0.2", JSON),
        ("text/html, image/gif, *; q=.2, */*; q=.2", CSV),
    ],
)
def test_the_highest_weight_wins_and_the_most_specific_range_sets_it(
    accept: str, chosen: str
) -> None:
    assert choose(accept, OFFERS) == chosen


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("application/json, text/csv", JSON),
        ("text/csv, application/json", CSV),
        ("application/jsonlines;q=0.5, text/csv;q=0.5", LINES),
        ("*/*, application/json", JSON),
        ("text/*, application/json", JSON),
        ("*/*, application/*", JSON),
    ],
)
def test_among_equals_the_first_name_wins_and_names_precede_wildcards(
    accept: str, chosen: str
) -> None:
    assert choose(accept, OFFERS) == chosen


@pytest.mark.parametrize(
    "accept",
    ["image/png", "image/*", "csv", "*", "text/csv;q=0", "*/*;q=0", "text/csv;q=0.0, image/png"],
)
def test_nothing_acceptable_is_refused_with_what_there_is(accept: str) -> None:
    offers = (CSV,)
    with pytest.raises(NotAcceptable, match=r"it can answer with text/csv\."):
        choose(accept, offers)


@pytest.mark.parametrize("weight", ["2", "-1", "nan", "inf", "", "high", '"0.5"'])
def test_a_weight_that_is_no_number_from_0_to_1_is_refused(weight: str) -> None:
    with pytest.raises(NotAcceptable, match="a weight is a number from 0 to 1"):
        choose(f"text/csv;q={weight}", OFFERS)


def test_an_accept_field_has_a_bounded_length() -> None:
    with pytest.raises(NotAcceptable, match=f"longer than {MAX_LENGTH} characters"):
        choose("text/csv," * MAX_LENGTH, OFFERS)


@given(st.text(max_size=60) | st.text(string.ascii_lowercase + "/*;q=,.01 ", max_size=60))
def test_any_accept_field_is_answered_with_an_offer_or_refused(accept: str) -> None:
    try:
        assert choose(accept, OFFERS) in OFFERS
    except NotAcceptable:
        assume(accept.strip(" ,"))


@given(st.permutations(OFFERS), st.sampled_from(list(permutations(OFFERS))))
def test_the_clients_order_is_stronger_than_the_servers(
    named: list[str], offers: tuple[str, ...]
) -> None:
    assert choose(", ".join(named), offers) == named[0]


@pytest.mark.parametrize("name", ["content-type", "accept"])
@pytest.mark.parametrize("plain", [{}, {"content-type": "a/b", "accept": "c/d"}])
def test_the_client_of_sagemakers_api_has_the_last_word(plain: dict[str, str], name: str) -> None:
    headers = plain | {f"x-amzn-sagemaker-{name}": CSV}
    request = Request("POST", "/invocations", headers, b"")
    assert settled(request).headers == plain | {name: CSV, f"x-amzn-sagemaker-{name}": CSV}


def test_plain_fields_stay_where_sagemakers_are_absent_or_empty() -> None:
    headers = {"accept": CSV, "x-amzn-sagemaker-accept": ""}
    request = Request("POST", "/invocations", headers, b"")
    assert settled(request).headers == {"accept": CSV, "x-amzn-sagemaker-accept": ""}
