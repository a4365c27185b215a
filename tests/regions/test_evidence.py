from __future__ import annotations

import torch

from fo1.regions.evidence import NameEvidence


def test_a_certain_name_gives_its_centred_word() -> None:
    words = torch.randn(5, 8)
    evidence = NameEvidence([words[:2], words[2:]])
    said = evidence(torch.eye(5))
    torch.testing.assert_close(said, words - words.mean(dim=0))


def test_each_classifier_has_its_own_gain() -> None:
    words = torch.randn(5, 8)
    evidence = NameEvidence([words[:2], words[2:]])
    before = evidence(torch.eye(5))
    evidence.gain.data = torch.tensor([2.0, 0.0])
    after = evidence(torch.eye(5))
    torch.testing.assert_close(after[:2], 2 * before[:2])
    assert after[2:].abs().sum() == 0


def test_words_belong_to_the_base_and_are_not_stored() -> None:
    evidence = NameEvidence([torch.randn(5, 8)])
    assert list(evidence.state_dict()) == ["gain"]


def test_no_regions_and_half_precision() -> None:
    evidence = NameEvidence([torch.randn(5, 8)])
    assert evidence(torch.zeros(0, 5)).shape == (0, 8)
    assert evidence(torch.ones(1, 5, dtype=torch.bfloat16)).dtype == torch.float32
