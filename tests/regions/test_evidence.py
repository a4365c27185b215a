from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from fo1.regions.evidence import NameEvidence
from tiny import plain_evidence


def test_a_certain_name_gives_its_centred_word() -> None:
    words = torch.randn(5, 8)
    evidence = plain_evidence(words[:2], words[2:])
    said = evidence(torch.eye(5))
    torch.testing.assert_close(said, words - words.mean(dim=0))


def test_each_classifier_has_its_own_gain() -> None:
    words = torch.randn(5, 8)
    evidence = plain_evidence(words[:2], words[2:])
    before = evidence(torch.eye(5))
    evidence.gain.data = torch.tensor([2.0, 0.0])
    after = evidence(torch.eye(5))
    torch.testing.assert_close(after[:2], 2 * before[:2])
    assert after[2:].abs().sum() == 0


def test_words_belong_to_the_base_and_are_not_stored() -> None:
    evidence = NameEvidence([torch.randn(5, 8)], torch.randn(2, 8), torch.tensor([0, 3]))
    assert set(evidence.state_dict()) == {"gain", "support_gain", "objectness"}


def test_no_regions_and_half_precision() -> None:
    evidence = plain_evidence(torch.randn(5, 8))
    assert evidence(torch.zeros(0, 5)).shape == (0, 8)
    assert evidence(torch.ones(1, 5, dtype=torch.bfloat16)).dtype == torch.float32
    phrases = torch.randn(3, 8)
    assert evidence.support(phrases, torch.zeros(0, 5)).shape == (3, 0)
    assert evidence.support(phrases[:0], torch.zeros(2, 5)).shape == (0, 2)
    assert evidence.support(phrases.bfloat16(), torch.ones(1, 5).bfloat16()).dtype == torch.float32


def random_words(seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Six class names, far from the origin as word embeddings are; three everyday words for two of them."""
    torch.manual_seed(seed)
    return torch.randn(6, 8) + 2, torch.randn(3, 8) + 2, torch.tensor([4, 1, 4])


def test_affinity_is_one_for_a_name_and_for_its_everyday_words() -> None:
    words, aliases, alias_of = random_words()
    evidence = NameEvidence([words[:2], words[2:]], aliases, alias_of)
    torch.testing.assert_close(evidence.affinity(words).diagonal(), torch.ones(6))
    torch.testing.assert_close(evidence.affinity(aliases)[range(3), alias_of], torch.ones(3))
    others = evidence.affinity(torch.cat([words, aliases]))
    certain = torch.zeros(9, 6, dtype=torch.bool)
    certain[range(9), [*range(6), 4, 1, 4]] = True
    assert (others[~certain] < 0.9).all()


def test_a_word_may_be_an_everyday_one_for_many_classes() -> None:
    words, aliases, _ = random_words()
    evidence = NameEvidence([words], aliases[:1].expand(3, -1), torch.tensor([0, 2, 5]))
    affinity = evidence.affinity(aliases[:1])[0]
    torch.testing.assert_close(affinity[[0, 2, 5]], torch.ones(3))
    assert (affinity[[1, 3, 4]] < 0.9).all()


@pytest.mark.parametrize("seed", range(3))
def test_other_words_count_by_the_cube_of_their_cosine(seed: int) -> None:
    words, aliases, alias_of = random_words(seed)
    evidence = NameEvidence([words[:2], words[2:]], aliases, alias_of)
    phrases = torch.randn(20, 8) + 2
    affinity = evidence.affinity(phrases)
    assert affinity.shape == (20, 6) and (affinity >= 0).all() and (affinity == 0).any()
    centre = words.mean(dim=0)
    for phrase, row in zip(phrases, affinity, strict=True):
        for i, found in enumerate(row.tolist()):
            names = [words[i], *(a for a, of in zip(aliases, alias_of.tolist(), strict=True) if of == i)]
            cosine = max(F.cosine_similarity(phrase - centre, n - centre, dim=0).item() for n in names)
            assert found == pytest.approx(max(cosine, 0) ** 3, abs=1e-5)


def test_support_by_hand() -> None:
    """Two classifiers of two names each, mean 0; the last axis is an everyday word for the second name."""
    x, y, z = torch.eye(3)
    evidence = NameEvidence([torch.stack([x, -x]), torch.stack([y, -y])], z[None], torch.tensor([1]))
    evidence.support_gain.data = torch.tensor([2.0, 3.0])
    evidence.objectness.data = torch.tensor(0.5)
    probabilities = torch.tensor([[0.5, 0.1, 0.9, 0.0], [0.0, 0.0, 0.2, 0.3]])
    support = evidence.support(torch.stack([5 * x, z, x + y, -y]), probabilities)
    thing, nothing = 0.5 * math.log(0.5), 0.5 * math.log(0.02)  # the second classifier does not count here
    between = 0.5**1.5
    expected = [
        [2 * 0.5 + thing, nothing],
        [2 * 0.1 + thing, nothing],
        [between * (2 * 0.5 + 3 * 0.9) + thing, between * 3 * 0.2 + nothing],
        [thing, 3 * 0.3 + nothing],
    ]
    torch.testing.assert_close(support, torch.tensor(expected))


def test_support_does_not_depend_on_other_phrases_or_regions() -> None:
    words, aliases, alias_of = random_words()
    evidence = NameEvidence([words[:2], words[2:]], aliases, alias_of)
    phrases, probabilities = torch.randn(4, 8) + 2, torch.rand(5, 6)
    together = evidence.support(phrases, probabilities)
    assert together.shape == (4, 5)
    torch.testing.assert_close(evidence.support(phrases[2:3], probabilities[1:2]), together[2:3, 1:2])


def test_gradients_reach_every_gain() -> None:
    words, aliases, alias_of = random_words()
    evidence = NameEvidence([words[:2], words[2:]], aliases, alias_of)
    phrases = words.clone().requires_grad_()
    (evidence.support(phrases, torch.rand(5, 6)).sum() + evidence(torch.rand(5, 6)).square().sum()).backward()
    assert all(p.grad is not None and p.grad.all() for p in evidence.parameters())
    assert phrases.grad is not None and phrases.grad.isfinite().all()
