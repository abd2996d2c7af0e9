"""Other people's column names, and the record they make: what shops, distributors and libraries call a book's fields.

Knows names only; reads no file.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from .book import FACT_NAMES, Book
from .errors import InputError

# Field or typed property -> names it goes by, without accents, signs and what stands in brackets: those of shops,
# distributors (ONIX) and library exports, in English, German, French, Spanish, Italian, Portuguese, Polish, Vietnamese.
_NAMES: dict[str, tuple[str, ...]] = {
    "title": (
        "title", "book title", "name", "book name", "product title", "product name", "item name", "item title",
        "title proper", "main title", "full title", "title text", "distinctive title", "work title", "book",
        "titel", "buchtitel", "titre", "titulo", "titolo", "tytul", "tytul ksiazki", "nazwa", "nazwa produktu",
        "ten sach", "tua sach", "tua de", "nhan de", "nome", "nombre", "nom", "bezeichnung", "artikelbezeichnung",
    ),
    "subtitle": (
        "subtitle", "sub title", "edition line", "other title information", "remainder of title", "untertitel",
        "sous titre", "subtitulo", "sottotitolo", "podtytul", "tua phu", "phu de",
    ),
    "author": (
        "author", "authors", "author name", "author names", "author s", "by", "by author", "written by", "writer",
        "writers", "contributor", "contributors", "creator", "creators", "main author", "main entry", "person name",
        "contributor name", "statement of responsibility", "autor", "autoren", "verfasser", "auteur", "auteurs",
        "autore", "autori", "autores", "autorzy", "tac gia", "nguoi viet",
    ),
    "description": (
        "description", "synopsis", "blurb", "summary", "about", "about the book", "annotation", "long description",
        "product description", "book description", "full description", "short description", "main description",
        "overview", "text", "content", "abstract", "notes", "back cover copy", "jacket copy", "text content",
        "beschreibung", "produktbeschreibung", "kurzbeschreibung", "klappentext", "inhalt", "resume", "descriptif",
        "quatrieme de couverture", "descripcion", "sinopsis", "resumen", "descrizione", "trama", "descricao",
        "sinopse", "opis", "opis ksiazki", "opis produktu", "streszczenie", "mo ta", "gioi thieu", "noi dung",
        "gioi thieu sach", "tom tat",
    ),
    "features": (
        "features", "bullets", "bullet points", "highlights", "key features", "selling points", "merkmale", "cechy",
        "caracteristiques", "caracteristicas", "dac diem",
    ),
    "categories": (
        "categories", "category", "genre", "genres", "subject", "subjects", "bisac", "bisac subject", "bisac subjects",
        "bisac code", "bisac codes", "bisac category", "bic subject", "thema", "thema subject", "topic", "topics",
        "shelf", "shelves", "section", "department", "subject heading", "subject headings", "lcsh", "classification",
        "main subject", "tags", "kategorie", "warengruppe", "sachgruppe", "schlagworte", "categorie", "rayon", "theme",
        "categoria", "categorias", "genero", "materia", "genere", "kategoria", "gatunek", "dzial", "tematyka",
        "the loai", "danh muc", "chu de", "nganh hang",
    ),
    "details": ("details", "product details", "product information", "attributes", "specifications"),
    "store": ("store", "brand", "seller", "vendor", "shop"),
    "average_rating": (
        "average rating", "rating", "avg rating", "mean rating", "stars", "star rating", "review score", "rating value",
        "bewertung", "note moyenne", "puntuacion", "valoracion", "valutazione", "ocena", "srednia ocena", "danh gia",
        "diem danh gia",
    ),
    "rating_number": (
        "rating number", "ratings", "rating count", "ratings count", "number of ratings", "num ratings", "reviews",
        "review count", "reviews count", "number of reviews", "num reviews", "anzahl bewertungen", "nombre d avis",
        "liczba ocen", "liczba opinii", "so luot danh gia", "so danh gia",
    ),
    "price": (
        "price", "list price", "rrp", "msrp", "srp", "retail price", "sale price", "selling price", "sales price",
        "asking price", "our price", "book price", "cover price", "publisher price", "recommended retail price",
        "suggested retail price", "price amount", "price inc tax", "price incl tax", "amount", "cost", "mrp",
        "unit price", "net price", "gross price", "preis", "verkaufspreis", "ladenpreis", "bruttopreis", "vk preis",
        "uvp", "vlb preis", "prix", "prix ttc", "prix public", "prix de vente", "precio", "pvp", "precio de venta",
        "prezzo", "prezzo di copertina", "preco", "preco de capa", "cena", "cena brutto", "cena okladkowa",
        "cena detaliczna", "cena sprzedazy", "cena katalogowa", "gia", "gia bia", "gia ban", "gia sach", "gia niem yet",
        "don gia",
    ),
    "parent_asin": (
        "parent asin", "asin", "isbn", "isbn13", "isbn 13", "isbn10", "isbn 10", "ean", "ean13", "ean 13", "gtin",
        "gtin 13", "upc", "barcode", "sku", "product id", "record reference", "product identifier",
        "kod kreskowy", "ma sach", "ma vach", "ma isbn",
    ),
    "format": (
        "format", "binding", "cover", "book format", "product form", "cover type", "binding type", "product type",
        "physical format", "product form detail", "media type", "einband", "bindung", "ausgabeart", "reliure",
        "encuadernacion", "rilegatura", "legatura", "encadernacao", "oprawa", "rodzaj oprawy", "okladka", "bia",
        "loai bia", "hinh thuc", "hinh thuc bia",
    ),
    "pages": (
        "pages", "no of pages", "number of pages", "page count", "num pages", "n pages", "nb pages", "page extent",
        "print length", "extent", "page number", "physical description", "pagination", "seiten", "seitenzahl",
        "anzahl seiten", "umfang", "nombre de pages", "paginas", "numero de paginas", "no de paginas", "pagine",
        "numero di pagine", "liczba stron", "ilosc stron", "strony", "so trang",
    ),
    "publisher": (
        "publisher", "imprint", "publisher name", "imprint name", "publishing house", "published by", "press", "verlag",
        "herausgeber", "editeur", "maison d edition", "editorial", "editore", "casa editrice", "editora",
        "wydawnictwo", "wydawca", "nha xuat ban", "nxb", "nha phat hanh", "don vi xuat ban",
    ),
    "year": (
        "year", "pub date", "pub year", "publication date", "publication year", "date of publication",
        "year of publication", "published", "date published", "publish date", "published date", "publishing date",
        "release date", "on sale date", "copyright year", "jahr", "erscheinungsjahr", "erscheinungsdatum",
        "erscheinungstermin", "annee", "date de parution", "date de publication", "ano", "ano de publicacion",
        "fecha de publicacion", "anno", "anno di pubblicazione", "data di pubblicazione", "ano de publicacao", "rok",
        "rok wydania", "data wydania", "data premiery", "nam", "nam xuat ban", "ngay xuat ban", "ngay phat hanh",
    ),
    "language": (
        "language", "lang", "languages", "language code", "language of text", "sprache", "langue", "idioma", "lingua",
        "jezyk", "jezyk wydania", "ngon ngu",
    ),
    "condition": (
        "condition", "book condition", "item condition", "grade", "zustand", "etat", "estado", "condizione",
        "condizioni", "stan", "stan ksiazki", "tinh trang",
    ),
    "edition": (
        "edition", "edition statement", "edition number", "auflage", "ausgabe", "edicion", "edizione", "edicao",
        "wydanie", "numer wydania", "lan xuat ban", "tai ban", "lan tai ban",
    ),
}  # fmt: skip
_BY_NAME = {name: field for field, names in _NAMES.items() for name in names}
# Book's own fields and typed properties: what a column may be.
FIELDS = tuple(dict.fromkeys((*_NAMES, *Book.model_fields)))
_CURRENCY_WORD = re.compile(
    r"(?:^| )(?:in )?(?:usd|us|eur|gbp|inr|pln|zl|vnd|cad|aud|chf|sek|nok|dkk|czk|huf|brl|jpy|dollars?|euros?|rupees?)$"
)
_LETTERS = str.maketrans("łđøßæœ", "ldosao")


@lru_cache(maxsize=4096)
def _normalise(column: str) -> str:
    """`No. of Pages`, `List Price (USD)`, `bookTitle`, `Tên sách` -> `no of pages`, `list price`, `book title`…"""
    text = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", column)
    text = re.sub(r"\([^()]*\)|\[[^\[\]]*\]", " ", text.lower())
    text = unicodedata.normalize("NFKD", text.translate(_LETTERS))
    text = "".join(character for character in text if not unicodedata.combining(character))
    text = re.sub(r"[\W_]+", " ", text).strip()
    return _CURRENCY_WORD.sub("", text) or text


def recognise_columns(columns: Iterable[str], overrides: Mapping[str, str] | None = None) -> dict[str, str]:
    """Which column is which field of a Book or typed property: `{column: field}`; the first of several names wins.

    Args:
        columns: names as the catalogue has them.
        overrides: what the user says a column is; it goes before all names.

    Example:
        >>> recognise_columns(["Author(s)", "Blurb", "List Price (USD)", "Shoe size"])
        {'Author(s)': 'author', 'Blurb': 'description', 'List Price (USD)': 'price'}
    """
    return dict(_recognise(tuple(columns), tuple((overrides or {}).items())))


@lru_cache(maxsize=1024)
def _recognise(columns: tuple[str, ...], overrides: tuple[tuple[str, str], ...]) -> dict[str, str]:
    found = {column: field for column, field in overrides if column in columns}
    taken = set(found.values())
    for column in columns:
        if column in Book.model_fields and column not in found and column not in taken:
            found[column] = column
            taken.add(column)
    for column in columns:
        field = _BY_NAME.get(_normalise(column))
        if field and column not in found and field not in taken:
            found[column] = field
            taken.add(field)
    return found


def names_of(field: str, count: int = 8) -> str:
    """Some names that a field goes by, for a person: `price, list price, rrp…`"""
    return ", ".join(_NAMES[field][:count])


def parse_overrides(pairs: Iterable[str]) -> dict[str, str]:
    """The user's `theirs=ours` pairs as `{column: field}`.

    Raises:
        InputError: no `=`, or a field that a Book has not.
    """
    overrides = {}
    for pair in pairs:
        column, sign, field = pair.rpartition("=")
        if not sign or not column.strip():
            raise InputError(f"--map {pair} names no column; write it as 'Their column=price'")
        if field.strip() not in FIELDS:
            raise InputError(
                f"there is no field {field.strip()!r} to map a column to; the fields are: {', '.join(FIELDS)}"
            )
        overrides[column.strip()] = field.strip()
    return overrides


def to_record(row: Mapping[str, Any], mapping: Mapping[str, str]) -> dict[str, Any]:
    """A row under the field names of a Book, typed properties (format, pages…) put into its details."""
    record: dict[str, Any] = {}
    facts: dict[str, Any] = {}
    for column, field in mapping.items():
        if column not in row:
            continue
        value = row[column]
        if field in FACT_NAMES:
            facts[field.capitalize()] = value
        else:
            record[field] = value
    if facts:
        details, said = (Book.model_validate({"details": part}).details for part in (record.get("details"), facts))
        record["details"] = {**details, **said}
    return record


def to_book(row: Mapping[str, Any], mapping: Mapping[str, str] | None = None, *, priced: bool = False) -> Book:
    """The Book of a row of any catalogue. Its price is read only where `priced`: an estimate never needs it.

    Raises:
        pydantic.ValidationError: a value that is none of its field's, such as a price that cannot be read.
    """
    record = to_record(row, recognise_columns(map(str, row)) if mapping is None else mapping)
    if not priced:
        record.pop("price", None)
    return Book.model_validate(record)
