"""A conversation on a terminal. Knows the screen and the keyboard; what is said comes from the conversation.

On a terminal a message ends with its line, and lines that were pasted together are one message. From a pipe or a file,
an empty line ends a message.
"""

from __future__ import annotations

import select
import sys
from collections.abc import Iterator

from rich.console import Console
from rich.text import Text

from ..chains.conversation import Conversation, ToolAnswered, ToolCalled, Words

_LEAVE = frozenset({"exit", "quit", "/exit", "/quit", "bye", ":q"})
# Lines of a paste arrive within this many seconds of one another.
_PASTE = 0.08
_WELCOME = (
    "Paste a book's listing, or ask what a book is worth; then ask why, for another format, for comparables, or "
    "whether a price is fair. Leave with Ctrl+D or 'exit'."
)


def talk(conversation: Conversation, out: Console, err: Console) -> None:
    """Read, answer, and so on, until the input ends; answers go to `out`, all else to `err`."""
    interactive = sys.stdin.isatty()
    if interactive:
        err.print(_WELCOME, style="dim", highlight=False)
    for message in _typed(err) if interactive else _paragraphs():
        if message.strip().lower() in _LEAVE:
            return
        if not message.strip():
            continue
        if not interactive:
            err.print(f"> {message}", style="dim", markup=False, highlight=False)
        for event in conversation.ask(message):
            if isinstance(event, ToolCalled):
                err.print(Text(f"· {event.name}", style="dim"))
            elif isinstance(event, ToolAnswered) and event.failed:
                err.print(Text(f"· {event.text}", style="yellow"))
            elif isinstance(event, Words):
                out.print(Text(event.text), end="", soft_wrap=True)
        out.print()
        if interactive:
            out.print()


def _typed(err: Console) -> Iterator[str]:
    while True:
        err.print("> ", end="", style="bold")
        lines = [sys.stdin.readline()]
        if not lines[0]:
            err.print()
            return
        while select.select([sys.stdin], [], [], _PASTE)[0]:
            line = sys.stdin.readline()
            if not line:
                break
            lines.append(line)
        yield "".join(lines)


def _paragraphs() -> Iterator[str]:
    lines: list[str] = []
    for line in sys.stdin:
        if line.strip():
            lines.append(line)
        elif lines:
            yield "".join(lines).strip()
            lines = []
    if lines:
        yield "".join(lines).strip()
