"""A small Llama-3-style tokenizer: byte-level BPE, one token for each of the numbers 0–999, lower case.

Case tells little about a price and would cost a third of a small vocabulary.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..distribution import PRICES

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

BEGIN, END = "<|begin_of_text|>", "<|end_of_text|>"
# As Llama 3's, but a word takes only a blank along, and neither a bracket nor a hyphen: fewer spellings of one word.
_SPLIT = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)| ?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
# How many occurrences the general word frequencies count for, beside those in the catalogue.
_GENERAL_WORDS = 6_000_000


def train_tokenizer(texts: Iterable[str], vocabulary: int, general: dict[str, float]) -> PreTrainedTokenizerFast:
    """Train on a catalogue's texts and on general English, so that words that no synthetic book has are known too.

    Args:
        texts: contents of books.
        vocabulary: number of tokens.
        general: words and their share of running text, such as `wordfreq.get_frequency_dict("en")`.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE(ignore_merges=True))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKD(), normalizers.StripAccents(), normalizers.Lowercase()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_SPLIT), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(
            piece for piece, _ in tokenizer.pre_tokenizer.pre_tokenize_str(tokenizer.normalizer.normalize_str(text))
        )
    catalogue = sum(counts.values())
    for word, share in general.items():
        if word.isalpha():
            counts["Ġ" + word] += round(share * _GENERAL_WORDS)
    numbers = [str(number) for number in range(PRICES)]
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary - (PRICES - 10),
        special_tokens=[BEGIN, END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    # Repeats of a word need not be written out a million times: a share of them gives the same order of merges.
    scale = max(1, (catalogue + _GENERAL_WORDS) // 4_000_000)
    bare = Tokenizer(models.BPE(ignore_merges=True))
    bare.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    bare.train_from_iterator(
        (
            " ".join([piece] * max(1, count // scale))
            for piece, count in sorted(counts.items())
            if not any(character.isdigit() for character in piece) and (count >= scale)
        ),
        trainer,
    )
    # Every number is a token of its own: with `ignore_merges` a word that is in the vocabulary needs no merges.
    trained = json.loads(bare.to_str())["model"]
    vocab: dict[str, int] = trained["vocab"]
    for number in numbers:
        vocab.setdefault(number, len(vocab))
    tokenizer.model = models.BPE(vocab=vocab, merges=[tuple(merge) for merge in trained["merges"]], ignore_merges=True)
    tokenizer.add_special_tokens([BEGIN, END])
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BEGIN} $A", pair=f"{BEGIN} $A $B", special_tokens=[(BEGIN, vocab[BEGIN])]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=BEGIN, eos_token=END, pad_token=END, model_max_length=2048
    )
