import csv
import io
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bookpricer.training.errors import InputError
from bookpricer.training.sources import open_catalog, row_mapping


def written(folder, name: str, data: str | bytes):
    path = folder / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def values(path) -> list[dict]:
    rows = list(open_catalog(path).rows())
    assert not [row.error for row in rows if row.error]
    return [row.values for row in rows]


ROW = [{"title": "Café “Rome”", "price": "3"}]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_reads_csv_in_any_encoding_delimiter_and_newline(tmp_path, encoding, delimiter, newline):
    text = newline.join([f"title{delimiter}price", f"Café “Rome”{delimiter}3", ""])
    assert values(written(tmp_path, "a.csv", text.encode(encoding))) == ROW


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("suffix", [".jsonl", ".ndjson", ".json", ".JSONL"])
def test_reads_json_lines_in_any_unicode_encoding(tmp_path, encoding, suffix):
    text = json.dumps(ROW[0], ensure_ascii=False) + "\n\n"
    assert values(written(tmp_path, f"a{suffix}", text.encode(encoding))) == ROW


@pytest.mark.parametrize("tail", ["", "x", "xx", "xxx", "xxxx", "xxxxx"])
@pytest.mark.parametrize("encoding", ["utf-8", "cp1252"])
def test_an_accent_near_the_end_tells_the_encoding_too(tmp_path, encoding, tail):
    (row,) = values(written(tmp_path, "a.csv", f"title\nCafé{tail}".encode(encoding)))
    assert row == {"title": f"Café{tail}"}


@pytest.mark.parametrize("padding", range(4))
def test_a_sample_that_ends_within_a_character_is_still_utf8(tmp_path, padding):
    title = "x" * padding + "漢字" * 20_000
    assert values(written(tmp_path, "a.csv", f"title\n{title}\n")) == [{"title": title}]


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252"])
def test_a_late_accent_tells_the_encoding(tmp_path, encoding):
    rows = values(written(tmp_path, "a.csv", ("title\n" + "plain\n" * 20_000 + "Café\n").encode(encoding)))
    assert len(rows) == 20_001 and rows[-1] == {"title": "Café"}


def test_one_bad_byte_in_a_utf8_file_spoils_one_row_only(tmp_path):
    path = written(tmp_path, "a.csv", b"title\n" + "Café\n".encode() * 20_000 + b"bad \xff byte\nend\n")
    rows = values(path)
    assert rows[0] == {"title": "Café"}
    assert rows[-2:] == [{"title": "bad \ufffd byte"}, {"title": "end"}]


def test_numbers_rows_from_one_and_says_what_is_wrong_with_a_long_one(tmp_path):
    catalog = open_catalog(written(tmp_path, "a.csv", 'title,price\n"two\nlines",1\n\nshort\nlong,2,3\nlast,4\n'))
    rows = list(catalog.rows())
    assert [row.number for row in rows] == [1, 2, 3, 4]
    assert [row.values["title"] for row in rows] == ["two\nlines", "short", "long", "last"]
    assert rows[1].values["price"] == ""
    assert [row.error for row in rows] == [None, None, "3 cells where the header has 2", None]
    assert catalog.count() == 4


def test_a_broken_json_line_is_a_row_with_an_error(tmp_path):
    lines = ['{"title": "a"}', "broken", "", "[1]", '"x"', "null", '{"title": "\x00"}', "[" * 99_999, '{"title": "z"}']
    rows = list(open_catalog(written(tmp_path, "a.jsonl", "\n".join(lines))).rows())
    assert [(row.number, row.error) for row in rows] == [
        (1, None),
        (2, "broken JSON"),
        (4, "not a JSON object"),
        (5, "not a JSON object"),
        (6, "not a JSON object"),
        (7, "broken JSON"),
        (8, "broken JSON"),
        (9, None),
    ]
    assert rows[-1].values == {"title": "z"}


def test_a_csv_cell_of_a_megabyte_is_read(tmp_path):
    title = "x" * 1_000_000
    assert values(written(tmp_path, "a.csv", f"title,price\n{title},1\n")) == [{"title": title, "price": "1"}]


@pytest.mark.parametrize(
    ("header", "columns"),
    [
        ('"title";"a, b, c, d"', ("title", "a, b, c, d")),
        ('"title","a; b; c; d"', ("title", "a; b; c; d")),
        ('"title","two\nlines",price', ("title", "two\nlines", "price")),
        (" Title , Price ", ("Title", "Price")),
        ("title", ("title",)),
        ("title\u2028,price", ("title", "price")),
    ],
)
def test_finds_the_columns_of_a_header(tmp_path, header, columns):
    assert open_catalog(written(tmp_path, "a.csv", f"{header}\nx\n")).columns == columns


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("empty.csv", b"", "is empty"),
        ("empty.jsonl", b"", "is empty"),
        ("blank.csv", b" \n\t\r\n", "is empty"),
        ("mark.csv", b"\xef\xbb\xbf", "is empty"),
        ("mark16.csv", b"\xff\xfe", "is empty"),
        ("picture.csv", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(range(256)) * 4, "not a text file"),
        ("picture.jsonl", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(range(256)) * 4, "not a text file"),
        ("archive.csv", b"PK\x03\x04\x14\0\0\0\x08\0" + bytes(range(256)) * 8, "not a text file"),
        ("table.xlsx", b"title\nx\n", "no readable XLSX"),
        ("table", b"title\nx\n", "no known format"),
        ("array.json", b' [\n{"title": "a"}]', "JSON array"),
        ("other.csv", b"weight,colour\n1,red\n", "no column for a title"),
        ("broken.csv", b'"weight\nin kg",colour\n1,red\n', "no column for a title"),
        ("unclosed.csv", b'"title\nweight\ncolour', "no column for a title"),
    ],
)
def test_says_in_one_sentence_what_is_wrong_with_a_file(tmp_path, name, data, words):
    with pytest.raises(InputError, match=words) as error:
        open_catalog(written(tmp_path, name, data))
    assert "\n" not in str(error.value)


def test_says_in_one_sentence_that_there_is_no_file(tmp_path):
    for path, words in ((tmp_path / "none.csv", "there is no file"), (tmp_path, "is a folder")):
        with pytest.raises(InputError, match=words) as error:
            open_catalog(path)
        assert "\n" not in str(error.value)


def test_a_csv_is_mapped_once_and_json_by_the_row(tmp_path):
    catalog = open_catalog(written(tmp_path, "a.csv", "Name,RRP\nx,1\n"))
    assert row_mapping(catalog, {"other": 1}) == {"Name": "title", "RRP": "price"}
    catalog = open_catalog(written(tmp_path, "a.jsonl", '{"Name": "x"}\n'))
    assert row_mapping(catalog, {"Blurb": "x"}) == {"Blurb": "description"}


# Any character but lone surrogates, which no file can hold, and the controls that mark a file as binary.
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20).map(
    lambda text: "".join(character for character in text if character >= " " or character in "\t\r\n")
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.fixed_dictionaries({"title": TEXTS, "my, note": TEXTS, "x": TEXTS}), min_size=1, max_size=5))
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_written_csv_reads_back(tmp_path, delimiter, encoding, rows):
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, list(rows[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    assert values(written(tmp_path, "a.csv", stream.getvalue().encode(encoding))) == rows


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.dictionaries(TEXTS, st.one_of(TEXTS, st.integers(), st.none(), st.lists(TEXTS)), min_size=1),
        min_size=1,
        max_size=5,
    )
)
@pytest.mark.parametrize("ascii_only", [True, False])
def test_written_json_lines_read_back(tmp_path, ascii_only, rows):
    text = "".join(json.dumps(row, ensure_ascii=ascii_only) + "\n" for row in rows)
    assert values(written(tmp_path, "a.jsonl", text)) == rows


def test_a_nul_is_a_character_like_others(tmp_path):
    text = "title,price\n" + "A plain title,1\n" * 50 + "a\0b,2\n"
    assert values(written(tmp_path, "a.csv", text))[-1] == {"title": "a\0b", "price": "2"}
