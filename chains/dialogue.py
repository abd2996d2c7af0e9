"""What to do next in a conversation about prices, decided by rules. Knows words, tools by name, and artifacts.

All it knows it reads off the messages, so that any checkpointer is its memory: the books are the arguments of earlier
tool calls, the estimates earlier tools' artifacts. Every price that it states is one of an artifact.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolCall, ToolMessage

from ..tools.baselines import PREFIX
from ..tools.catalog import LOOK_UP
from ..tools.comparables import FIND_COMPARABLES, MOST
from ..tools.pricing import CROSS_CHECK, PRICE
from ..tools.results import COMPARABLES, ESTIMATE
from ..training.book import canonical_format
from ..training.errors import InputError
from ..training.money import format_money, format_range
from .amounts import CORRECTION_MARK, find_amounts, readable
from .cross_check import LLM, method_title
from .listing import (
    asks_for_price,
    changed_facts,
    describe,
    is_listing,
    names_book,
    read_listing,
    read_question,
    same_book,
    with_facts,
)

Kind = Literal[
    "price", "variant", "why", "comparables", "fair", "return", "method", "sure", "list", "compare", "help", "thanks",
    "which", "unreadable",
]  # fmt: skip
_PRICING_TOOLS = frozenset({PRICE, CROSS_CHECK, FIND_COMPARABLES})
_DEMONSTRATION = "(demonstration model)"
_ORDINALS = {"first": 0, "1st": 0, "second": 1, "2nd": 1, "third": 2, "3rd": 2, "fourth": 3, "fifth": 4}
_SHOWN_COMPARABLES = 4

CAPABILITIES = (
    "I am the offline planner: I work by rules, without a network, and understand pasted listings, questions such as "
    "“how much is a used 300-page hardcover on Roman history?”, and follow-ups: “and as a paperback?”, “why?”, “show "
    "comparables”, “is my price fair?”, “what does linear regression say?”, “back to the first book”."
)
PLUG_IN = (
    "For free conversation plug in a chat model: set BOOKPRICER_CHAT_MODEL, or pass --chat-model, to one that calls "
    "tools, such as openai:gpt-…, or a local server through an OpenAI-compatible address (OPENAI_BASE_URL)."
)
_HELP = re.compile(
    r"^\W*(?:hi|hello|hey|good (?:morning|evening|day|afternoon)|help|\?|what can you do|what do you do|who are you|"
    r"how does this work|how do you work|what is this)\b[^,]{0,25}$",
    re.IGNORECASE,
)
_THANKS = re.compile(
    r"^\W*(?:thanks?|thank you|thx|cheers|great|ok(?:ay)?|perfect|bye|goodbye|nice|cool|got it)\b.{0,20}$", re.I
)
_WHY = re.compile(
    r"\b(?:why|how come|explain|reasons?|reasoning|how did you|how do you know|what makes|where does (?:it|that) come|"
    r"do (?:the |they |all )?(?:methods |they )?agree|who disagrees|justify|based on what)\b",
    re.IGNORECASE,
)
_COMPARABLES = re.compile(
    r"\b(?:comparables?|comps|similar (?:books?|ones|titles)|(?:books?|ones|others?) like (?:it|this|that)|"
    r"what (?:do|did) (?:similar|such|like) )",
    re.IGNORECASE,
)
_FAIR = re.compile(
    r"\b(?:fair|too (?:much|little|high|low|expensive|cheap|dear)|overpriced|underpriced|good (?:price|deal|offer)|"
    r"bargain|deal|steal|reasonable|rip-?off|should i (?:pay|accept|take|sell|buy|ask)|ask(?:ing|ed|s)?|"
    r"offer(?:ed|s|ing)?|sell (?:it|this|them)? ?(?:for|at)|pay|bid|worth)\b",
    re.IGNORECASE,
)
_SURE = re.compile(
    r"\b(?:how (?:sure|certain|confident|reliable|accurate|good)|interval|range|confidence|certainty)\b", re.I
)
_LIST = re.compile(
    r"\b(?:which|what|list)\b.{0,20}\bbooks?\b.{0,30}\b(?:so far|priced|have we|did we|discussed)\b", re.I
)
_COMPARE = re.compile(
    r"\b(?:which|what)\b.{0,20}\b(?:worth more|more valuable|dearer|more expensive|cheaper|worth less)\b", re.I
)
_RETURN = re.compile(
    r"\b(?:back to|return to|go back|again|"
    r"the (first|second|third|fourth|fifth|1st|2nd|3rd|last|previous|other|earlier)(?: book| one)?|previous book)\b",
    re.IGNORECASE,
)
_POSITION = re.compile(r"\b(first|second|third|fourth|fifth|1st|2nd|3rd|last|previous|other|earlier)\b", re.IGNORECASE)
_VARIANT = re.compile(
    r"^\W*(?:and|what about|how about|what if|but|or|now|same|suppose|as|in|make it|if)\b|\b(?:as an?|as the|in) \w+|"
    r"\binstead\b|\bwere\b|\bwhat if\b",
    re.IGNORECASE,
)
_METHOD = re.compile(r"\b(?:what (?:does|do|would)|ask|use|try|run|according to|by)\b", re.IGNORECASE)
_METHOD_WORDS: tuple[tuple[str, str], ...] = (
    ("linear_regression", r"linear regression|linear model"),
    ("word2vec", r"word ?2 ?vec"),
    ("vector_boosting", r"vector boosting|boosting on (?:sentence )?vectors"),
    ("hist_gradient_boosting", r"(?:hist(?:ogram)? )?gradient boosting|boosting|hgb"),
    ("neighbours", r"(?:nearest )?neighbou?rs|knn"),
    ("kernel_ridge", r"kernel(?: ridge| regression)?"),
    ("tfidf_ridge", r"ridge|tf-?idf"),
    ("median", r"median|constant"),
    ("mean", r"\bmean\b"),
    ("random", r"random"),
)
_K = re.compile(r"\b(\d{1,2})\s+(?:comparables?|comps|similar|books)\b", re.IGNORECASE)
_NAMED_AFTER_RETURN = re.compile(r"(?:back to|return to|again)\s+(?:the\s+)?[“\"']?(.+?)[”\"'?.!]*$", re.IGNORECASE)


@dataclass(frozen=True)
class Intent:
    """What the user wants, of which book, and what else the words say."""

    kind: Kind
    book: dict[str, Any] = field(default_factory=dict)
    amount: float | None = None
    method: str = ""
    k: int | None = None
    problem: str = ""


@dataclass
class Memory:
    """What the conversation holds: books in the order of their mention, and each variant's estimates."""

    books: list[dict[str, Any]] = field(default_factory=list)
    current: dict[str, Any] | None = None
    estimates: list[tuple[dict[str, Any], dict[str, Any]]] = field(default_factory=list)
    demonstration_said: bool = False

    def mention(self, book: dict[str, Any]) -> None:
        """A book that a tool was asked about."""
        if not any(same_book(book, other) for other in self.books):
            self.books.append(book)
        self.current = book

    def estimate(self, book: Mapping[str, Any]) -> dict[str, Any] | None:
        """The latest estimate of exactly this variant of a book; a cross-check before the model alone."""
        found = [estimate for other, estimate in self.estimates if other == book]
        checked = [estimate for estimate in found if estimate["method"] == "cross_check"]
        usual = [estimate for estimate in found if estimate["method"] not in _baseline_names(found)]
        best = checked or usual
        return best[-1] if best else None


def next_message(messages: Sequence[BaseMessage], tools: Sequence[str]) -> AIMessage:
    """The planner's next message: tool calls, or the answer.

    Args:
        messages: of the conversation, the user's last and what tools answered since.
        tools: names of the tools at hand.
    """
    # The planner states no price but a tool's; whoever asks it to correct itself is not the user.
    messages = [m for m in messages if not (isinstance(m, HumanMessage) and m.text.startswith(CORRECTION_MARK))]
    last = max((i for i, message in enumerate(messages) if isinstance(message, HumanMessage)), default=-1)
    if last < 0:
        return AIMessage(f"{CAPABILITIES} Paste a listing, or ask what a book is worth.")
    memory = remember(messages[:last])
    intent = understand(messages[last].text, memory)
    results = [message for message in messages[last + 1 :] if isinstance(message, ToolMessage)]
    calls = _calls(intent, memory, results, frozenset(tools))
    if calls:
        return AIMessage(
            "",
            tool_calls=[
                ToolCall(name=n, args=a, id=f"call_{uuid.uuid4().hex[:12]}", type="tool_call") for n, a in calls
            ],
        )
    return AIMessage(_answer(intent, memory, results, frozenset(tools)))


def remember(messages: Sequence[BaseMessage]) -> Memory:
    """What earlier messages leave behind."""
    memory = Memory()
    for message in messages:
        if isinstance(message, AIMessage):
            for call in message.tool_calls:
                if call["name"] in _PRICING_TOOLS or call["name"].startswith(PREFIX):
                    memory.mention(_book_arguments(call["args"]))
            memory.demonstration_said |= "demonstration model" in message.text
        elif isinstance(message, ToolMessage) and _kind(message) == ESTIMATE and memory.current is not None:
            memory.estimates.append((memory.current, message.artifact["estimate"]))
    return memory


def understand(text: str, memory: Memory) -> Intent:
    """What a message of the user means after what was said before."""
    words = " ".join(readable(text).split())
    if not words or _HELP.match(words):
        return Intent("help")
    if is_listing(readable(text)):
        try:
            return Intent("price", read_listing(readable(text)))
        except InputError as error:
            return Intent("unreadable", problem=str(error))
    if _THANKS.match(words) and not asks_for_price(words):
        return Intent("thanks")
    amounts = [amount for amount in find_amounts(words) if not amount.bare] or find_amounts(words)
    current = memory.current
    if current is None:
        book = read_question(_without_amounts(words) if amounts and _FAIR.search(words) else words)
        return _new_book(words, book, amounts)
    if _LIST.search(words):
        return Intent("list")
    if _COMPARE.search(words):
        return Intent("compare")
    if (target := _returned_to(words, memory)) is not None:
        return _about(words, target, amounts) or Intent("return", target)
    if (method := _method(words)) and (_METHOD.search(words) or len(words.split()) <= 3):
        return Intent("method", current, method=method)
    about = _about(words, current, amounts)
    if about is not None:
        return about
    changes = {name: value for name, value in changed_facts(words).items() if current.get(name) != value}
    asked = read_question(words)
    new_title = asked.get("title") and not _is_filler(asked["title"])
    if changes and (_VARIANT.search(words) or not new_title):
        return Intent("variant", with_facts(current, changes))
    if changed_facts(words) and not new_title:
        return Intent("variant", current)
    return _new_book(words, asked if new_title else {}, amounts)


def _about(words: str, book: dict[str, Any], amounts: Sequence[Any]) -> Intent | None:
    """A question about a book that is known: comparables, why, fair, how sure."""
    if _COMPARABLES.search(words):
        match = _K.search(words)
        return Intent("comparables", book, k=min(max(int(match[1]), 1), MOST) if match else None)
    if amounts and _FAIR.search(words):
        named = read_question(_without_amounts(words))
        if named.get("author") or (named.get("title") and _names_other(named["title"])):
            return Intent("fair", named, amount=amounts[0].value)
        return Intent("fair", book, amount=amounts[0].value)
    if _WHY.search(words):
        return Intent("why", book)
    if _SURE.search(words):
        return Intent("sure", book)
    return None


def _new_book(words: str, book: dict[str, Any], amounts: Sequence[Any]) -> Intent:
    if not book:
        return Intent("which")
    if amounts and _FAIR.search(words) and len(words.split()) > 2:
        return Intent("fair", book, amount=amounts[0].value)
    if asks_for_price(words) or names_book(words) or _looks_like_title(words):
        return Intent("price", book)
    return Intent("which")


def _looks_like_title(words: str) -> bool:
    """A short text in which most words have a capital, and which asks nothing."""
    parts = re.findall(r"[^\W\d_]{3,}", words)
    capitals = sum(part[0].isupper() for part in parts)
    return bool(parts) and len(parts) <= 12 and capitals >= 0.6 * len(parts) and not words.endswith("?")


def _names_other(title: str) -> bool:
    return len(re.findall(r"[^\W\d_]{3,}", title)) >= 1 and title[:1].isupper() and not _is_filler(title)


def _is_filler(title: str) -> bool:
    """Whether what is left of a question as a title is no title: "and", "what about the", a format's name."""
    left = re.sub(
        r"\b(?:and|what|about|how|if|it|is|was|were|as|an?|the|in|same|book|copy|this|that|one|edition|but|or|now|for|me|"
        r"then|so|would|be|had|has|with|cover|bound|version|instead|condition|price|please|show|give|tell|they|them|do|"
        r"does|you|i|my|your|of|to|on|at|much|signed|first|new|used)\b",
        " ", title, flags=re.IGNORECASE,
    )  # fmt: skip
    return not re.search(r"[^\W\d_]{2,}", left) or canonical_format(left) is not None


def _returned_to(words: str, memory: Memory) -> dict[str, Any] | None:
    """The earlier book that a message goes back to."""
    if not _RETURN.search(words) or not memory.books:
        return None
    books = memory.books
    position = _POSITION.search(words)
    if position:
        word = position[1].lower()
        if word in _ORDINALS:
            if re.search(rf"\b{word}\s+edition\b", words, re.IGNORECASE):
                return None
            return books[_ORDINALS[word]] if _ORDINALS[word] < len(books) else None
        others = [book for book in books if memory.current is None or not same_book(book, memory.current)]
        return (others or books)[-1]
    if named := _NAMED_AFTER_RETURN.search(words):
        wanted = set(re.findall(r"\w{3,}", named[1].casefold()))
        scored = [(len(wanted & set(re.findall(r"\w{3,}", str(b.get("title", "")).casefold()))), b) for b in books]
        best = max(scored, key=lambda pair: pair[0])
        return best[1] if best[0] else None
    return None


def _method(words: str) -> str:
    return next((name for name, pattern in _METHOD_WORDS if re.search(rf"\b(?:{pattern})\b", words, re.I)), "")


def _without_amounts(words: str) -> str:
    """A question about a figure without the figure and its frame: "is $15 fair for Emma?" -> "Emma"."""
    left = words
    for amount in reversed(find_amounts(words)):
        left = left[: amount.start] + left[amount.end :]
    left = re.sub(r"[$€£₹¥]|\b(?:dollars?|bucks|euros?|pounds?)\b", " ", left)
    left = re.sub(
        r"^\W*(?:(?:is|are|would|was|should|do|does|they|i|we|it|you|think|someone|somebody|pay|paying|ask(?:ing|s)?|want|"
        r"offer(?:ed|s)?|me|us|sell|buy|and|be|a|an|at|for|fair|too|much|high|low|little|good|price|deal|reasonable|"
        r"expensive|cheap|overpriced|worth)\b\s*)+",
        " ", left, flags=re.IGNORECASE,
    )  # fmt: skip
    left = re.sub(
        r"\b(?:a )?(?:fair|reasonable|good|too much|too high|too low|overpriced)(?: price| deal| offer)?\W*$",
        "",
        left,
        flags=re.I,
    )
    return " ".join(left.split()).strip(" ?.!,") or "it"


# What to call


def _calls(
    intent: Intent, memory: Memory, results: Sequence[ToolMessage], tools: frozenset[str]
) -> list[tuple[str, dict[str, Any]]]:
    """The tool calls that are still to be made for an intent."""
    done = [message.name for message in results]
    book = intent.book
    pricing = CROSS_CHECK if CROSS_CHECK in tools else PRICE if PRICE in tools else None
    if intent.kind in ("price", "fair") and book and not any(same_book(book, other) for other in memory.books):
        if LOOK_UP in tools and not book.get("description") and not done:
            query = " ".join(filter(None, (str(book.get("title", "")), str(book.get("author", "")))))
            return [(LOOK_UP, {"query": query[:500], "k": 1})] if query else []
        if done == [LOOK_UP]:
            book = _looked_up(intent, results)
    if any(name != LOOK_UP for name in done):
        return []
    match intent.kind:
        case "price" | "variant" | "return":
            return _pricing_calls(pricing, book, tools)
        case "fair" | "why" | "sure":
            return [] if memory.estimate(book) else _pricing_calls(pricing, book, tools)
        case "comparables" if FIND_COMPARABLES in tools:
            return [(FIND_COMPARABLES, {**book, **({"k": intent.k} if intent.k else {})})]
        case "comparables":
            return []
        case "method" if f"{PREFIX}{intent.method}" in tools:
            return [(f"{PREFIX}{intent.method}", book)]
        case _:
            return []


def _pricing_calls(
    pricing: str | None, book: dict[str, Any], tools: frozenset[str]
) -> list[tuple[str, dict[str, Any]]]:
    if pricing is None:
        return []
    calls = [(pricing, book)]
    if pricing == PRICE and FIND_COMPARABLES in tools:
        calls.append((FIND_COMPARABLES, {**book, "k": _SHOWN_COMPARABLES}))
    return calls


def _looked_up(intent: Intent, results: Sequence[ToolMessage]) -> dict[str, Any]:
    """The catalogue's record of the book asked for, what the question says laid over it; else the question's own."""
    artifact = results[0].artifact
    rows = artifact.get("books") if isinstance(artifact, dict) and results[0].status != "error" else None
    if not rows:
        return intent.book
    said = {k: v for k, v in intent.book.items() if k in ("format", "pages", "year", "condition")}
    return {**rows[0], **said}


# What to say


def _answer(intent: Intent, memory: Memory, results: Sequence[ToolMessage], tools: frozenset[str]) -> str:
    used = [message for message in results if message.name != LOOK_UP]
    failed = [message for message in used if message.status == "error"]
    if used and len(failed) == len(used):
        reason = failed[0].text.removeprefix("Error: ").split(" Correct the arguments")[0]
        return (
            f"I could not do that: {reason} Describe the book with a title and some of its text, and I will try again."
        )
    estimate = next((m.artifact["estimate"] for m in used if _kind(m) == ESTIMATE), None)
    found = next((m.artifact for m in used if _kind(m) == COMPARABLES), None)
    book = next((m.artifact["book"] for m in used if isinstance(m.artifact, dict)), intent.book)
    if intent.kind in ("fair", "why", "sure") and estimate is None:
        estimate = memory.estimate(intent.book)
        book = intent.book
    match intent.kind:
        case "help":
            return " ".join(filter(None, (CAPABILITIES, _available(tools), PLUG_IN)))
        case "thanks":
            return "You are welcome. Paste another book whenever you like."
        case "list":
            return _list(memory)
        case "compare":
            return _compare(memory)
        case "unreadable":
            return f"I cannot read that: {intent.problem}."
        case "which":
            return f"I did not understand which book you mean, or what you want to know of it. {CAPABILITIES} {PLUG_IN}"
        case "comparables":
            return _comparables_answer(book, found, tools)
        case "method" if estimate is not None:
            price = format_money(estimate["price"], estimate["currency"])
            return f"{estimate['model']} puts “{describe(book)}” at {price}. It gives a number without an interval."
        case "method":
            return _missing(f"the baseline “{method_title(intent.method)}”")
        case _ if estimate is None:
            return "I have no tool here that prices a book. " + PLUG_IN
        case "fair":
            return _fair(book, estimate, intent.amount or 0.0)
        case "sure":
            return _sure(book, estimate)
        case "why":
            return _why(book, estimate, tools)
        case _:
            return _priced(intent, memory, book, estimate, found, tools)


def _priced(
    intent: Intent, memory: Memory, book: dict[str, Any], estimate: dict[str, Any], found: Any, tools: frozenset[str]
) -> str:
    currency = estimate["currency"]
    parts = [f"I would price “{describe(book)}” at {format_money(estimate['price'], currency)}."]
    if between := _between(estimate):
        parts.append(f"{between}.")
    before = next(
        (
            e
            for b, e in reversed(memory.estimates)
            if intent.kind == "variant"
            and same_book(b, book)
            and b != intent.book
            and e["method"] == estimate["method"]
        ),
        None,
    )
    if before is not None and before["currency"] == currency:
        gap = round(estimate["price"] - before["price"], 2)
        way, old = "more" if gap > 0 else "less", format_money(before["price"], currency)
        parts.append(
            f"That is {format_money(abs(gap), currency)} {way} than the {old} before."
            if abs(gap) >= 0.005
            else "That is the same price as before."
        )
    parts.append(_agreement(estimate))
    parts += estimate["warnings"]
    text = " ".join(filter(None, parts))
    rows = estimate["comparables"] or (found["comparables"] if found else [])
    if rows:
        text += "\n\nComparable books:\n" + _rows(rows[:_SHOWN_COMPARABLES], currency)
    elif FIND_COMPARABLES not in tools and CROSS_CHECK not in tools and not memory.books:
        text += "\n\n" + _missing("comparable books")
    if _DEMONSTRATION in estimate["model"] and not memory.demonstration_said:
        text += (
            "\n\nThis is the demonstration model: it learnt from invented books, and shows how pricing works, not what "
            "your book is worth. Tune it to your own sales with “bookpricer train”."
        )
    return text


def _between(estimate: Mapping[str, Any]) -> str:
    if estimate["low"] is None or estimate["high"] is None:
        return ""
    amounts = format_range(estimate["low"], estimate["high"], estimate["currency"], " and ")
    return f"{100 * estimate['coverage']:.0f} of 100 such books cost between {amounts}"


def _agreement(estimate: Mapping[str, Any]) -> str:
    words = {"agree": "The methods agree", "mixed": "The methods differ somewhat", "disagree": "The methods disagree"}
    if estimate["agreement"] is None:
        return ""
    return f"{words[estimate['agreement']]}: {_methods(estimate)}."


def _methods(estimate: Mapping[str, Any]) -> str:
    prices = estimate["baselines"]
    ordered = [LLM, *(name for name in prices if name != LLM)] if LLM in prices else list(prices)
    return ", ".join(f"{method_title(name)} {format_money(prices[name], estimate['currency'])}" for name in ordered)


def _rows(rows: Sequence[Mapping[str, Any]], currency: str) -> str:
    return "\n".join(
        f"- “{_quoted(row['title'])}”, {format_money(row['price'], currency)}, similarity {row['similarity']:.2f}"
        for row in rows
    )


def _quoted(title: str) -> str:
    return " ".join(title.split()).replace("“", "‘").replace("”", "’") or "without a title"


def _comparables_answer(book: dict[str, Any], found: Any, tools: frozenset[str]) -> str:
    if found is None:
        return _missing("comparable books")
    if not found["comparables"]:
        return "There is no comparable book."
    prices = [row["price"] for row in found["comparables"]]
    currency = found["currency"]
    return (
        f"The {len(prices)} books most like “{describe(book)}”:\n{_rows(found['comparables'], currency)}\n\nThey cost "
        f"between {format_money(min(prices), currency)} and {format_money(max(prices), currency)}."
    )


def _fair(book: dict[str, Any], estimate: Mapping[str, Any], amount: float) -> str:
    currency, price = estimate["currency"], estimate["price"]
    asked, own = format_money(amount, currency), format_money(price, currency)
    opening = f"The {asked} that you name for “{describe(book)}”"
    low, high = estimate["low"], estimate["high"]
    gap = round(amount - price, 2)
    if abs(gap) < 0.005:
        compared = f"exactly my estimate of {own}"
    else:
        compared = f"{format_money(abs(gap), currency)} {'above' if gap > 0 else 'below'} my estimate of {own}"
    if low is None or high is None:
        return f"{opening} is {compared}."
    if amount > high:
        verdict = f"is high: {compared}, and above the range"
        advice = "A buyer should find it for less; a seller needs a reason, such as a signature or a rare edition."
    elif amount < low:
        verdict = f"is low: {compared}, and below the range"
        advice = "A buyer gets a bargain, unless the listing hides something; a seller can ask for more."
    else:
        verdict = f"is fair: {compared}, and within the range"
        advice = ""
    return " ".join(filter(None, (f"{opening} {verdict}. {_between(estimate)}.", advice, *estimate["warnings"])))


def _sure(book: dict[str, Any], estimate: Mapping[str, Any]) -> str:
    parts = [f"My estimate for “{describe(book)}” is {format_money(estimate['price'], estimate['currency'])}."]
    if between := _between(estimate):
        parts.append(f"{between}.")
    if estimate["confidence"] is not None:
        parts.append(
            f"The chance that the true price lies within 20 % of the estimate is {estimate['confidence']:.0%}."
        )
    parts += estimate["warnings"] or ["Nothing about this book needs a second look."]
    return " ".join(parts)


def _why(book: dict[str, Any], estimate: Mapping[str, Any], tools: frozenset[str]) -> str:
    currency = estimate["currency"]
    price = format_money(estimate["price"], currency)
    if estimate["baselines"]:
        parts = [f"The {price} for “{describe(book)}” is a blend of what several methods say: {_methods(estimate)}."]
        words = {
            "agree": "They lie closer together than for half of all books, so the price is well supported.",
            "mixed": "They lie apart as for many books.",
            "disagree": "They lie further apart than for nine of ten books, so a person should look at it.",
        }
        parts.append(words.get(estimate["agreement"] or "", ""))
    else:
        parts = [
            f"The {price} for “{describe(book)}” is the median of the language model's price distribution after "
            "reading its text; there are no other methods here to hold it against."
        ]
    if between := _between(estimate):
        parts.append(f"{between}.")
    parts += estimate["warnings"]
    text = " ".join(filter(None, parts))
    if rows := estimate["comparables"]:
        text += "\n\nThe books most like it that have a price:\n" + _rows(rows[:_SHOWN_COMPARABLES], currency)
    elif FIND_COMPARABLES not in tools:
        text += "\n\n" + _missing("comparable books and baselines")
    known = [name for name in ("format", "pages", "year", "condition", "description") if not book.get(name)]
    if known:
        text += f"\n\nNot known, and worth telling me: {', '.join(known)}."
    return text


def _list(memory: Memory) -> str:
    if not memory.books:
        return "No book so far. Paste one."
    lines = []
    for number, book in enumerate(memory.books, start=1):
        latest = next((e for b, e in reversed(memory.estimates) if same_book(b, book)), None)
        price = f": {format_money(latest['price'], latest['currency'])}" if latest else ""
        lines.append(f"{number}. “{describe(book)}”{price}")
    return "\n".join(lines)


def _compare(memory: Memory) -> str:
    priced = [(book, estimate) for book in memory.books if (estimate := memory.estimate(book)) is not None]
    if len(priced) < 2:
        return "I have priced fewer than two books so far. Paste another one."
    ranked = sorted(priced, key=lambda pair: -pair[1]["price"])
    lines = [f"- “{describe(book)}”: {format_money(e['price'], e['currency'])}" for book, e in ranked]
    return "The dearest first:\n" + "\n".join(lines)


def _missing(what: str) -> str:
    return (
        f"This model holds no {what.removeprefix('the ')}: its folder lacks them. “bookpricer train” on your own "
        "priced books makes them."
    )


def _available(tools: frozenset[str]) -> str:
    missing = [
        what for name, what in ((CROSS_CHECK, "cross-check"), (FIND_COMPARABLES, "comparables")) if name not in tools
    ]
    return f"This model has no {' and no '.join(missing)}; “bookpricer train” makes them." if missing else ""


def _kind(message: ToolMessage) -> str | None:
    return message.artifact.get("kind") if isinstance(message.artifact, dict) else None


def _book_arguments(arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in arguments.items() if name not in ("k", "query")}


def _baseline_names(estimates: Sequence[Mapping[str, Any]]) -> set[str]:
    return {estimate["method"] for estimate in estimates} - {"llm", "text", "cross_check"}
