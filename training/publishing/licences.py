"""What a base model's licence asks of a model tuned from it. Knows the names of base models, and no files but licences.

Meta's community licences for Llama 3 and later ask whoever distributes a tuned model to hand on the licence and a
notice, to show "Built with Llama", and to begin the model's name with "Llama". This module says so; it gives no advice.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from ..model_folder import EMBEDDED

# Files in which a base model's repository keeps its licence, as Meta and others name them.
LICENCE_FILES = ("LICENSE", "LICENSE.txt", "LICENSE.md", "USE_POLICY.md", "NOTICE", "NOTICE.txt")
_LLAMA = re.compile(r"(?<![a-z])llama-?(3|3\.1|3\.2|3\.3|4)(?![\w.])", re.IGNORECASE)


@dataclass(frozen=True)
class Licence:
    """A licence as the hub names it (`id`, or `other` with `name` and `link`), and what Meta's ask beyond.

    `built_with` is the line to show, `name_prefix` what a distributed model's name begins with, `notice` the text of
    the file NOTICE; all empty where the licence asks no such thing.
    """

    id: str
    name: str
    link: str
    built_with: str = ""
    name_prefix: str = ""
    notice: str = ""


def licence_of(base_model: str) -> Licence:
    """The licence that comes with a base model, by its name."""
    if base_model == EMBEDDED:
        return Licence("apache-2.0", "Apache License 2.0", "https://www.apache.org/licenses/LICENSE-2.0")
    match = _LLAMA.search(base_model)
    if match is None:
        return Licence("other", f"that of {base_model}", f"https://huggingface.co/{base_model}")
    version = match[1]
    # The licence of the first Llama 3 says "Meta Llama 3" where the later ones say "Llama".
    family = "Meta Llama 3" if version == "3" else f"Llama {version}"
    return Licence(
        id=f"llama{version}",
        name=f"{family} Community License",
        link=f"https://www.llama.com/llama{version.replace('.', '_')}/license/",
        built_with="Built with Meta Llama 3" if version == "3" else "Built with Llama",
        name_prefix="Llama 3" if version == "3" else "Llama",
        notice=(
            f"{family} is licensed under the {family} Community License, Copyright © Meta Platforms, Inc. "
            "All Rights Reserved.\n"
        ),
    )


def name_breaks_licence(name: str, licence: Licence) -> bool:
    """Whether a model (its folder's name, or hub id) may not be distributed under this name; case and signs aside."""
    plain = re.sub(r"[^a-z0-9]", "", name.rsplit("/", 1)[-1].lower())
    return not plain.startswith(re.sub(r"[^a-z0-9]", "", licence.name_prefix.lower()))


def licence_advice(name: str, licence: Licence) -> str | None:
    """A sentence for a model whose name breaks the rule of its base model's licence, or None."""
    if not name_breaks_licence(name, licence):
        return None
    return (
        f"the {licence.name} asks that a distributed model's name begin with {licence.name_prefix!r}: rename {name} "
        "before you share it"
    )


def licence_files(base_model: str, revision: str | None = None) -> list[Path]:
    """The licence files of a base model on the hub that are on this machine already; asks no network."""
    from huggingface_hub import try_to_load_from_cache

    if base_model.count("/") != 1 or Path(base_model).expanduser().exists():
        return []
    found = (try_to_load_from_cache(base_model, name, revision=revision) for name in LICENCE_FILES)
    return [Path(path) for path in found if isinstance(path, str)]
