from __future__ import annotations

import torch
from torch.nn import functional as F

from fo1.regions.connector import Connector


def test_is_linear_gelu_linear() -> None:
    connector = Connector(6, 5, 4).eval()
    features = torch.randn(3, 6)
    first, second = connector.mlp[1], connector.mlp[4]
    torch.testing.assert_close(connector(features), second(F.gelu(first(features))))


def test_embeddings_have_the_wanted_size() -> None:
    connector = Connector(6, 5, 4, rms=0.1).eval()
    out = connector(torch.randn(3, 6) * 40)
    torch.testing.assert_close(out.square().mean(dim=1).sqrt(), torch.full((3,), 0.1), atol=1e-4, rtol=0)


def test_residual_is_added_before_normalising() -> None:
    plain, sized = Connector(6, 5, 4).eval(), Connector(6, 5, 4, rms=0.1).eval()
    features, residual = torch.randn(3, 6), torch.randn(3, 4)
    torch.testing.assert_close(plain(features, residual), plain(features) + residual)
    expected = F.rms_norm(sized.mlp(features) + residual, (4,)) * 0.1
    torch.testing.assert_close(sized(features, residual), expected)


def test_dropout_only_in_training() -> None:
    connector = Connector(64, 64, 4, dropout=0.5)
    features = torch.randn(2, 64)
    assert not torch.equal(connector(features), connector(features))
    connector.eval()
    assert torch.equal(connector(features), connector(features))


def test_no_regions() -> None:
    assert Connector(6, 5, 4, rms=0.1)(torch.zeros(0, 6)).shape == (0, 4)
