from __future__ import annotations

import torch

from fo1.checkpoints import low_rank
from fo1.training.folding import fold
from fo1.training.stage import parameter_groups
from fo1.training.tiny import INSTRUCT, tiny_model


@torch.no_grad()
def test_folded_factors_are_in_the_weights() -> None:
    model = tiny_model()
    parameter_groups(model.model, INSTRUCT)
    decoder = model.model.base.get_decoder()
    for name, factor in low_rank.factors(decoder).items():
        factor.normal_(0, 0.1, generator=torch.Generator().manual_seed(len(name)))
    embedded = torch.randn(1, 5, 64, generator=torch.Generator().manual_seed(0))
    before = decoder(inputs_embeds=embedded).last_hidden_state
    plain = tiny_model().model.base.get_decoder()
    assert not torch.allclose(plain(inputs_embeds=embedded).last_hidden_state, before, atol=1e-2)
    fold(model)
    assert not low_rank.factors(model.model.base)
    assert [name for name, _ in decoder.named_parameters()] == [name for name, _ in plain.named_parameters()]
    torch.testing.assert_close(
        decoder(inputs_embeds=embedded).last_hidden_state, before, rtol=1e-4, atol=1e-4
    )
