import pytest

from bookpricer.chains.amounts import find_amounts, readable


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("It costs $12.50 or 12,50 EUR", [12.5, 12.5]),
        ("US$ 15, Rs. 300, 150,000 VND, €1.299,00", [15, 300, 150_000, 1299]),
        ("twelve dollars, twenty-five bucks, a hundred and ten euros", [12, 25, 110]),
        ("fifty cents, 99¢, 5k dollars", [0.5, 0.99, 5000]),
        ("It is worth about 42.", [42]),
        ("I'd say twelve", [12]),
        ("sells for roughly 30 or so", [30]),
        ("**$12**, _$13_", [12, 13]),
        ("worth １２ dollars, ١٢ dollars, 1\u200b2 dollars", [12, 12, 12]),
        ("The answer: $1", [1]),
    ],
)
def test_sums_of_money(text, values):
    assert [amount.value for amount in find_amounts(readable(text)) if not amount.bare] == values


@pytest.mark.parametrize(
    "text",
    [
        "a 300-page book of 1998, the 2nd edition, in 3 volumes",
        "80 of 100 such books, 35 % of them, 2.1 times as many",
        "1. Emma\n2. Rome",
        "ISBN 9780141439587",
        "six comparables by two methods",
    ],
)
def test_what_is_counted_is_no_money(text):
    assert find_amounts(text) == []


def test_a_number_without_neighbours_is_bare():
    [amount] = find_amounts("Forty-two? No: 42")
    assert amount.bare and amount.value == 42
