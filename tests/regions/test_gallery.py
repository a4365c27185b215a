from __future__ import annotations

import torch

from fo1.regions.gallery import Gallery


def gallery(examples: torch.Tensor) -> Gallery:
    """In the features' own space. examples: (V, K, channels)."""
    names, count, channels = examples.shape
    made = Gallery(channels, names, channels, count)
    made.basis.copy_(torch.eye(channels))
    made.examples.copy_(examples)
    return made


AXES = torch.eye(4)


def test_a_region_is_called_by_its_nearest_example() -> None:
    made = gallery(torch.stack([AXES[[0, 1]], AXES[[2, 2]]]))
    said = made(torch.tensor([[0.1, 5.0, 0.0, 0.0], [0.0, 0.0, 0.3, 0.1]]))
    assert said.argmax(dim=1).tolist() == [0, 1]
    assert (said > 0.9).sum() == 2


def test_what_is_like_nothing_known_is_called_nothing() -> None:
    made = gallery(AXES[:2, None])
    strange, between = made(torch.tensor([[0.1, 0.0, 1.0, 0.0], [1.0, 1.0, 1.2, 0.0]])).sum(dim=1)
    assert strange == 0 < between < 1


def test_a_name_without_examples_is_never_likely() -> None:
    made = gallery(torch.stack([AXES[[0]], torch.zeros(1, 4)]))
    said = made(torch.eye(4))
    assert said[:, 1].max() < 1e-6 and said[0, 0] > 0.99


def test_size_does_not_matter_and_the_centre_is_nowhere() -> None:
    made = gallery(AXES[:2, None])
    made.centre.copy_(torch.ones(4))
    torch.testing.assert_close(made.project(1 + AXES), made.project(1 + 7 * AXES))
    assert made.project(torch.ones(1, 4)).abs().sum() == 0


def test_no_regions_and_half_precision() -> None:
    made = gallery(AXES[:2, None])
    assert made(torch.zeros(0, 4)).shape == (0, 2)
    assert made(torch.ones(1, 4, dtype=torch.float16)).dtype == torch.float32
