# SPDX-License-Identifier: Apache-2.0
"""The texts and tokenizers of the zoo: nothing is fetched, all comes with Python.

PROSE is the language reference that Python's help() prints, CODE the sources of some of its modules.
Both are cut into tokens by one byte-level BPE of 1024 entries, trained on both; a second one of 768
entries, trained on the code alone, stands for another maker's vocabulary.
"""

from __future__ import annotations

import sysconfig
from functools import cache
from pathlib import Path
from pydoc_data.topics import topics

import torch
from tokenizers import ByteLevelBPETokenizer
from transformers import PreTrainedTokenizerFast

VOCABULARY, OTHER_VOCABULARY = 1024, 768
END = "<|endoftext|>"
MODULES = ("argparse ast bdb cgi codecs collections/__init__ configparser dataclasses datetime decimal "
           "difflib email/message enum fractions ftplib functools gettext heapq http/client inspect "
           "json/decoder logging/__init__ mailbox optparse pathlib pdb pickle plistlib pydoc random "
           "shutil smtplib statistics subprocess tarfile textwrap threading tokenize trace turtle "
           "typing unittest/case urllib/request uuid zipfile").split()


@cache
def prose() -> str:
    return "\n\n".join(topics[name] for name in sorted(topics))


@cache
def code() -> str:
    folder = Path(sysconfig.get_paths()["stdlib"])
    files = [folder / f"{module}.py" for module in MODULES]
    return "\n\n".join(file.read_text(encoding="utf-8") for file in files if file.exists())


@cache
def tokenizer(size: int = VOCABULARY) -> PreTrainedTokenizerFast:
    """The zoo's own vocabulary, or the other maker's when its size is asked for."""
    trained = ByteLevelBPETokenizer()
    texts = [code()] if size == OTHER_VOCABULARY else [prose(), code()]
    lines = (line for text in texts for line in text.splitlines(keepends=True))
    trained.train_from_iterator(lines, vocab_size=size, min_frequency=2, special_tokens=[END],
                                show_progress=False)
    return PreTrainedTokenizerFast(tokenizer_object=trained._tokenizer, eos_token=END, bos_token=END,
                                   pad_token=END)


@cache
def tokens(text: str = "prose", vocabulary: int = VOCABULARY) -> torch.Tensor:
    """All of a text ("prose" or "code") as token numbers."""
    words = {"prose": prose, "code": code}[text]()
    return torch.tensor(tokenizer(vocabulary).backend_tokenizer.encode(words).ids)
