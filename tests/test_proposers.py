from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import fo1
from fo1.encoders.nanodet import NanoDet
from fo1.errors import CheckpointError, RegistryError
from fo1.proposals.cached import CachedProposals
from fo1.proposals.detectors.detr import DetrProposer
from fo1.proposals.detectors.owlv2 import Owlv2Proposer
from fo1.proposals.nanodet import NanoDetProposer
from fo1.proposals.proposer import FeatureProposer, Proposer, Selection
from fo1.proposals.remote import RemoteProposer
from fo1.proposals.union import Union
from fo1.proposers import Spec, named_proposer
from tiny import StubProposer, picture
from tiny_detectors import owlv2, rtdetr

CPU = torch.device("cpu")


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    path = tmp_path / "a+b.json"
    path.write_text(json.dumps({"a.jpg": {"boxes": []}}))
    return path


def test_the_models_own_network_is_used_again() -> None:
    own = NanoDetProposer(NanoDet())
    same = named_proposer("nanodet", CPU, own=own)
    assert isinstance(same, FeatureProposer) and same.encoder is own.encoder
    fewer = named_proposer("nanodet?top_k=7&min_score=0.5", CPU, own=own)
    assert isinstance(fewer, NanoDetProposer) and fewer.encoder is own.encoder
    assert fewer.selection == Selection(0.5, own.selection.iou, 7)


def test_without_one_the_bundled_detector() -> None:
    found = named_proposer("nanodet", CPU, torch.bfloat16, own=StubProposer([]))
    assert isinstance(found, NanoDetProposer)
    assert next(found.encoder.parameters()).dtype is torch.bfloat16


def test_detectors_with_options(tmp_path: Path) -> None:
    folder = owlv2(tmp_path / "owl+v2")
    found = named_proposer(f"owlv2:{folder}?words=cat, red dog&min_score=0.2&top_k=3", CPU)
    assert isinstance(found, Owlv2Proposer)
    assert found.words == ("cat", "red dog")
    assert (found.selection.min_score, found.selection.top_k) == (0.2, 3)
    assert len(found.propose([picture(0)])[0]) <= 3


def test_a_union_by_name(tmp_path: Path, cache: Path) -> None:
    folder = rtdetr(tmp_path / "rt")
    written = f"nanodet?top_k=5 + rtdetr:{folder} + cached:{cache} + http://127.0.0.1:9/a+b?c=d"
    found = named_proposer(written, CPU, own=NanoDetProposer(NanoDet()))
    assert isinstance(found, Union)
    kinds = [type(one) for _, one in found.members]
    assert kinds == [NanoDetProposer, DetrProposer, CachedProposals, RemoteProposer]
    assert [name for name, _ in found.members][1] == f"rtdetr:{folder}"
    assert found.members[3][1].url == "http://127.0.0.1:9/a+b?c=d"


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("nanodets", "did you mean 'nanodet'"),
        ("", "unknown fo1.proposers ''"),
        ("nanodet?topk=3", "unknown option 'topk'"),
        ("nanodet?top_k=many", "invalid literal"),
        ("owlv2", "'owlv2' needs its file or model"),
        ("cached", "'cached' needs its file"),
        ("given", "use --boxes"),
        ("nanodet:/no/such", "'nanodet' has no model to choose; leave out ':/no/such'"),
        ("nanodet?words=cat", "'nanodet' has no use for the option 'words'"),
        ("text?words=cat", "no use for the option 'words'"),
        ("cached:FILE?words=cat", "no use for the option 'words'"),
        ("nanodet?top_k=-5", "top_k must be at least 1, got -5"),
    ],
)
def test_names_that_are_none(written: str, message: str) -> None:
    with pytest.raises(RegistryError, match=message):
        named_proposer(written, CPU)


def test_a_plug_in_gets_what_follows_the_colon(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, ...]] = []

    def plugin(*words: str) -> Proposer:
        asked.append(words)
        return StubProposer([])

    monkeypatch.setattr("fo1.proposers.PROPOSERS.get", lambda name: plugin)
    named_proposer("grid", CPU)
    named_proposer("grid:a:b", CPU)
    assert asked == [(), ("a:b",)]
    with pytest.raises(RegistryError, match="no use for the option 'top_k'"):
        named_proposer("grid?top_k=3", CPU)


def test_how_one_is_written() -> None:
    spec = Spec.parse("sam3:C:/models/x?words=a,,b c ,")
    assert (spec.name, spec.target, spec.words) == ("sam3", "C:/models/x", ("a", "b c"))


def test_a_model_is_loaded_with_one(released_folder: Path, cache: Path) -> None:
    cached = fo1.load(released_folder, device="cpu", dtype="float32", proposer=f"cached:{cache}")
    assert isinstance(cached.model.proposer, CachedProposals)
    with pytest.raises(CheckpointError, match="no detector can be loaded"):
        fo1.load_proposer(f"rtdetr:{released_folder}", device="cpu")
