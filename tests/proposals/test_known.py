from __future__ import annotations

import pytest

from fo1.encoders.nanodet import NanoDet
from fo1.errors import RegistryError
from fo1.proposals.given import GivenBoxes
from fo1.proposals.known import PROPOSERS
from fo1.proposals.proposer import FeatureProposer
from tiny import picture


def test_proposers_by_name() -> None:
    assert set(PROPOSERS.names()) >= {
        "cached",
        "given",
        "nanodet",
        "text",
        "rtdetr",
        "owlv2",
        "omdet",
        "groundingdino",
        "sam3",
    }
    assert PROPOSERS.get("given") is GivenBoxes
    (regions,) = PROPOSERS.get("given")([[[1, 2, 3, 4]]]).propose([picture(0)])
    assert regions.xyxy.tolist() == [[1, 2, 3, 4]]
    assert isinstance(PROPOSERS.get("nanodet")(NanoDet()), FeatureProposer)


def test_an_unknown_name_lists_the_known() -> None:
    with pytest.raises(RegistryError, match="did you mean 'nanodet'.*cached, detr, given"):
        PROPOSERS.get("nanodets")
