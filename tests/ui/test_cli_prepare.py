"""`bookpricer prepare` and what reads its folders, on other people's catalogues."""

import csv
import json

import pytest

DESCRIPTION = "A quiet story of a family, a garden by the sea and letters never sent."
TITLES = ["The Silver River", "Letters Home", "A Garden at Night", "Stone and Sea", "The Machine Age", "Winter Music"]


@pytest.fixture(scope="session")
def tokenizer(tmp_path_factory):
    from bookpricer.training.embedded.tokenizer import train_tokenizer

    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    train_tokenizer([DESCRIPTION, *TITLES], vocabulary=1400, general={"garden": 0.001}).backend_tokenizer.save(
        str(path)
    )
    return path


def used_books(folder):
    path = folder / "used.csv"
    with path.open("w", encoding="cp1252", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(
            ["SKU", "Book Title", "Author(s)", "Blurb", "Asking Price", "Cond.", "Book Condition", "Binding"]
        )
        prices = ["$12.50", "$1,299.00", "$8", "$45.00", "$110.00", "$3.95"]
        for number, (title, price) in enumerate(zip(TITLES, prices, strict=True)):
            row = [f"U{number}", f"{title} – café", "Ann Reed", DESCRIPTION, price, "-", "Used - Good", "Hardback"]
            writer.writerow(row)
    return path, "USD", 1, 5


def polish_shop(folder):
    import openpyxl

    path = folder / "ksiegarnia.xlsx"
    workbook = openpyxl.Workbook()
    sheet = workbook.active
    sheet.append(["Księgarnia pod Różą, cennik 2024"])
    sheet.append([])
    sheet.append(
        ["Tytuł", "Autor", "Opis", "Cena brutto", "Wydawnictwo", "Rok wydania", "Oprawa", "Liczba stron", "Język"]
    )
    for title, price in zip(TITLES, ["49,90 zł", "129,00 zł", 39.9, "1 299,00 zł", "24,50", "59,99 PLN"], strict=True):
        sheet.append([title, "Łukasz Żak", DESCRIPTION, price, "Wydawnictwo Małe", 2019, "twarda", 320, "polski"])
    workbook.save(path)
    return path, "PLN", 1, 5


def vietnamese_publisher(folder):
    path = folder / "sach.tsv"
    header = ["Tên sách", "Tác giả", "Giới thiệu", "Giá bìa", "Nhà xuất bản", "Năm xuất bản", "Số trang", "Thể loại"]
    prices = ["150.000 ₫", "85.000đ", "150,000 VND", "95.000", "2.000.000 ₫", "120.000 VNĐ"]
    rows = [
        [title, "Nguyễn Nhật Ánh", DESCRIPTION, price, "NXB Trẻ", "2020", "250", "Văn học"]
        for title, price in zip(TITLES, prices, strict=True)
    ]
    path.write_text("\n".join("\t".join(row) for row in (header, *rows)), encoding="utf-16")
    return path, "VND", 1000, 5


@pytest.mark.parametrize("make", [used_books, polish_shop, vietnamese_publisher])
def test_other_peoples_catalogues_are_read_without_a_map(run, tmp_path, tokenizer, make):
    source, currency, unit, books = make(tmp_path)
    options = ["--tokenizer", tokenizer, "--unit", unit, "--json", "--workers", 1]
    status, out, err = run("prepare", source, tmp_path / "d", *options)
    assert status == 0, err
    report = json.loads(out)
    assert report["currency"] == currency and report["unit"] == unit and report["books"] == books
    assert {"title", "author", "description", "price"} <= set(report["columns"].values())
    assert report["rejected"] == {"price outside of the model's range": 1}
    assert "is read as price" in err and "is read as title" in err and currency in err


def test_units_of_the_three(run, tmp_path, tokenizer):
    from bookpricer.training.dataset import read_priced_books

    source, _, unit, _ = vietnamese_publisher(tmp_path)
    run("prepare", source, tmp_path / "d", "--tokenizer", tokenizer, "--unit", unit, "--workers", 1)
    assert sorted(priced.units for priced in read_priced_books(tmp_path / "d").books) == [85, 95, 120, 150, 150]
    source, *_ = polish_shop(tmp_path)
    run("prepare", source, tmp_path / "e", "--tokenizer", tokenizer, "--workers", 1)
    prepared = read_priced_books(tmp_path / "e").books
    assert sorted(priced.units for priced in prepared) == [24.5, 39.9, 49.9, 59.99, 129]
    assert {(priced.book.pages, priced.book.year, priced.book.publisher) for priced in prepared} == {
        (320, 2019, "Wydawnictwo Małe")
    }


def test_a_map_overrides_and_the_table_is_shown(run, tmp_path, tokenizer):
    source = tmp_path / "odd.csv"
    source.write_text("Werk,Kosten heute,Price\n" + "".join(f"{title},{n + 5},1\n" for n, title in enumerate(TITLES)))
    status, out, err = run(
        "prepare", source, tmp_path / "d", "--tokenizer", tokenizer, "--map", "Werk=title", "--map",
        "Kosten heute=price", "--workers", 1,
    )  # fmt: skip
    assert status == 0 and "6 of 6 records are kept" in out and "'Kosten heute' is read as price" in err
    assert "not used: Price" in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["none.csv"], "there is no file"),
        (["odd.csv"], "title, book title"),
        (["odd.csv", "--map", "Werk=titel"], "no field 'titel'"),
        (["odd.csv", "--map", "Werk"], "Their column=price"),
        (["odd.csv", "--map", "Work=title"], "no column"),
        (["odd.csv", "--map", "Werk=title"], "price, list price"),
        (["odd.csv", "--map", "Werk=title", "--map", "Kosten=price", "--currency", "złoty"], "ISO code"),
        (["odd.csv", "--map", "Werk=title", "--map", "Kosten=price", "--encoding", "klingon"], "no encoding"),
        (["owner/there-is-none"], "cannot be opened"),
    ],
)
def test_says_in_one_sentence_what_is_wrong(run, tmp_path, tokenizer, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "odd.csv").write_text("Werk,Kosten\nEmma,5\n")
    status, _, err = run("prepare", arguments[0], "d", "--tokenizer", tokenizer, *arguments[1:])
    assert status == 2 and words in " ".join(err.split())
    assert not (tmp_path / "d").exists()


def test_pushes_through_datasets(run, tmp_path, tokenizer, monkeypatch):
    import datasets
    from huggingface_hub import HfApi

    pushed = []
    monkeypatch.setattr(
        datasets.DatasetDict, "push_to_hub", lambda self, name, private: pushed.append((name, private, set(self)))
    )
    monkeypatch.setattr(HfApi, "upload_file", lambda self, **arguments: pushed.append(arguments["path_in_repo"]))
    source, *_ = used_books(tmp_path)
    status, *_ = run(
        "prepare", source, tmp_path / "d", "--tokenizer", tokenizer, "--push-to-hub", "me/books", "--workers", 1
    )
    assert status == 0 and pushed[0][:2] == ("me/books", True) and pushed[1:] == ["README.md", "report.json"]


def test_a_push_without_a_hub_keeps_the_data_set(run, tmp_path, tokenizer):
    source, *_ = used_books(tmp_path)
    status, _, err = run(
        "prepare", source, tmp_path / "d", "--tokenizer", tokenizer, "--push-to-hub", "me/books", "--workers", 1
    )
    assert status == 2 and "is whole but could not be pushed" in " ".join(err.split())
    assert (tmp_path / "d" / "report.json").is_file()
