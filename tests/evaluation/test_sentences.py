from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from fo1.evaluation.benchmark import BenchmarkError
from fo1.evaluation.sentences import MeanPooling, similarity, word_overlap


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> MeanPooling:
    """A BERT of random weights that knows three words."""
    folder = tmp_path_factory.mktemp("encoder")
    tokenizer = Tokenizer(models.WordLevel({"[PAD]": 0, "[UNK]": 1, "red": 2, "cat": 3, "dog": 4}, "[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]")
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=5, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    BertModel(config).save_pretrained(folder)
    return MeanPooling(folder)


def test_padding_does_not_count(encoder: MeanPooling) -> None:
    together, alone = encoder(["cat", "red red dog cat"]), encoder(["cat"])
    assert together.shape == (2, 16)
    np.testing.assert_allclose(together[0], alone[0], atol=1e-6)


def test_the_mean_of_the_last_states(encoder: MeanPooling) -> None:
    with torch.inference_mode():
        states = encoder.model(input_ids=torch.tensor([[2, 3]])).last_hidden_state[0]
    np.testing.assert_allclose(encoder(["red cat"])[0], states.mean(0).numpy(), atol=1e-6)


def test_a_missing_encoder_says_where_it_should_be(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="nix cannot be loaded.*under the name nix"):
        MeanPooling(tmp_path / "nix")


def test_similarity_is_a_cosine() -> None:
    assert similarity(np.array([3.0, 4.0]), np.array([4.0, 3.0])) == pytest.approx(24 / 25)
    assert similarity(np.zeros(2), np.ones(2)) == 0


@pytest.mark.parametrize(
    ("said", "truth", "overlap"),
    [
        ("Red cat", "cat", 1 / 2),
        ("cat cat", "cat", 1),
        ("a b", "c", 0),
        ("", "", 0),
        ("x y z", "z y w", 2 / 4),
    ],
)
def test_word_overlap(said: str, truth: str, overlap: float) -> None:
    assert word_overlap(said, truth) == pytest.approx(overlap)
