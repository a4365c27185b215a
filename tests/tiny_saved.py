"""What the tiny models of transformers have in common: a tokenizer, and weights written to a folder."""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import (
    PreTrainedTokenizerFast,
)

WORDS = ("object", "cat", "dog", "red", "detect", "all", "objects", "a", ",")


def tokenizer(length: int) -> PreTrainedTokenizerFast:
    """One token a word; the ids of its marks are BERT's, which GroundingDINO knows by heart."""
    vocabulary = {"[PAD]": 0, "[UNK]": 1, "[CLS]": 101, "[SEP]": 102, ".": 1012}
    vocabulary |= {word: number for number, word in enumerate(WORDS, start=2)}
    made = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    made.normalizer = normalizers.Lowercase()
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 101), ("[SEP]", 102)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=made,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_max_length=length,
    )


def saved(folder: Path, model: torch.nn.Module, *parts: object) -> Path:
    """Weights wider than usual, so that answers depend on the image."""
    torch.manual_seed(0)
    for parameter in model.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.3)
    for part in (model, *parts):
        part.save_pretrained(folder)
    return folder
