from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from fo1.vlm.pointer import RegionPointer


def pointer(rank: int = 4) -> RegionPointer:
    torch.manual_seed(0)
    return RegionPointer(8, rank)


def started(rank: int = 4) -> tuple[RegionPointer, Tensor]:
    """A pointer at its start, and the centre it was given."""
    point, centre = pointer(rank), torch.randn(8)
    point.start(centre)
    return point, centre


def test_shapes_and_dtype() -> None:
    hidden, phrases, regions = torch.randn(2, 5, 8), torch.randn(2, 5, 8), torch.randn(2, 3, 8)
    for asked in ((hidden, regions), (None, regions, phrases), (hidden, regions, phrases)):
        assert pointer()(*asked).shape == (2, 5, 3)
    assert pointer()(hidden, regions[:, :0], phrases).shape == (2, 5, 0)
    half = pointer()(hidden.bfloat16(), regions.bfloat16(), phrases)
    assert half.dtype == torch.float32


@pytest.mark.parametrize("reads", [(True, False), (False, True), (True, True)])
def test_is_gain_times_cosine_plus_bias(reads: tuple[bool, bool]) -> None:
    """What asks is the sum of what the hidden state and the phrase say; either may be missing."""
    point = pointer()
    hidden, phrases, regions = torch.randn(1, 8), torch.randn(1, 8), torch.randn(3, 8)
    query = reads[0] * point.query(hidden) + reads[1] * point.phrase(phrases)
    expected = torch.cosine_similarity(query, point.key(regions), dim=-1) * 14.0 - 7.0
    logits = point(hidden if reads[0] else None, regions, phrases if reads[1] else None)
    torch.testing.assert_close(logits[0], expected)


def test_regions_do_not_influence_each_other() -> None:
    point = pointer()
    hidden, phrases, regions = torch.randn(4, 8), torch.randn(4, 8), torch.randn(3, 8)
    alone = torch.cat([point(hidden, region[None], phrases) for region in regions], dim=1)
    torch.testing.assert_close(point(hidden, regions, phrases), alone)


def test_half_precision_weights() -> None:
    point = pointer()
    hidden, phrases, regions = torch.randn(4, 8), torch.randn(4, 8), torch.randn(3, 8)
    exact = point(hidden, regions, phrases)
    rounded = point.bfloat16()(hidden, regions, phrases)
    assert rounded.dtype == torch.float32
    torch.testing.assert_close(rounded, exact, atol=0.3, rtol=0)


def test_gradients_reach_everything() -> None:
    point = pointer()
    hidden, phrases, regions = (torch.randn(n, 8, requires_grad=True) for n in (4, 4, 3))
    point(hidden, regions, phrases).square().sum().backward()
    for tensor in (hidden, phrases, regions, *point.parameters()):
        assert tensor.grad is not None and tensor.grad.abs().sum() > 0


def test_the_start_compares_centred_phrases_with_regions_in_the_keys_projection() -> None:
    point, centre = started()
    phrases, regions = torch.randn(5, 8), torch.randn(3, 8)
    asked, key = (phrases - centre) @ point.key.weight.T, point.key(regions)
    expected = torch.cosine_similarity(asked[:, None], key[None], dim=-1) * 14.0 - 7.0
    torch.testing.assert_close(point(None, regions, phrases), expected)


def test_the_start_is_similarity_in_word_space_where_the_projection_loses_nothing() -> None:
    point = pointer(rank=8)
    nn.init.orthogonal_(point.key.weight)
    nn.init.zeros_(point.key.bias)
    centre, phrases, regions = torch.randn(8), torch.randn(5, 8), torch.randn(3, 8)
    point.start(centre)
    cosine = torch.cosine_similarity((phrases - centre)[:, None], regions[None], dim=-1)
    torch.testing.assert_close(point(None, regions, phrases), cosine * point.gain + point.bias)


def test_at_the_start_hidden_states_say_nothing() -> None:
    point, _ = started()
    hidden, phrases, regions = torch.randn(5, 8) * 100, torch.randn(5, 8), torch.randn(3, 8)
    assert torch.equal(point(hidden, regions, phrases), point(None, regions, phrases))
    assert (point(hidden, regions) == point.bias).all()


def test_hidden_states_learn_from_the_start() -> None:
    """Zero is where the query begins, not where it stays."""
    point, _ = started()
    point(torch.randn(4, 8), torch.randn(3, 8), torch.randn(4, 8)).square().sum().backward()
    for parameter in point.parameters():
        assert parameter.requires_grad and parameter.grad is not None and parameter.grad.abs().sum() > 0


def test_the_start_copies_and_does_not_tie() -> None:
    point, _ = started()
    key = point.key.weight.clone()
    point.phrase.weight.data.zero_()
    assert torch.equal(point.key.weight, key)
