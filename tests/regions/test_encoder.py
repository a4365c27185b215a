from __future__ import annotations

import pytest
import torch
from torch import Tensor

from fo1.encoders.feature_maps import FeatureMaps, Frame
from fo1.regions.branches import LevelBranch
from fo1.regions.connector import Connector
from fo1.regions.encoder import Fusion, FusionConfig, HybridRegionEncoder, Position, RegionFeatures
from fo1.regions.evidence import NameEvidence
from fo1.regions.gallery import Gallery
from fo1.regions.namers import Namer
from fo1.regions.position import box_embedding
from fo1.types import Regions
from tiny import plain_evidence

SIZE = (64, 48)


def maps(channels: int, cells: int, seed: int) -> FeatureMaps:
    """One random map of a picture of 64 × 48 that the encoder reads at 32 × 24."""
    generator = torch.Generator().manual_seed(seed)
    grid = torch.randn(channels, 24 * cells // 32, cells, generator=generator)
    return FeatureMaps((grid,), (32 / cells,), Frame(SIZE, (32, 24)))


def build(
    config: FusionConfig, primary: int = 16, auxiliary: int = 8, evidence: NameEvidence | None = None
) -> HybridRegionEncoder:
    names = sum(evidence.sizes) if evidence else 0
    width = HybridRegionEncoder.connector_width(config, primary, auxiliary, names)
    torch.manual_seed(0)
    return HybridRegionEncoder(
        LevelBranch((primary,)),
        LevelBranch((auxiliary,)),
        Connector(width, 12, 10),
        config,
        evidence=evidence,
        auxiliary_namer=Fixed(names) if evidence else None,
    ).eval()


class Fixed(Namer):
    """Calls every region by the last of its names."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes = classes

    def forward(self, features: FeatureMaps, boxes: Tensor, pooled: Tensor) -> Tensor:
        return torch.eye(self.classes)[[-1] * len(boxes)]


REGIONS = Regions.of([[0, 0, 64, 48], [8, 8, 30, 40], [50, 4, 60, 12]], SIZE)


@pytest.mark.parametrize(
    ("fusion", "position", "expected"),
    [
        ("concat", "add", 24),
        ("concat", "concat", 24 + 32),
        ("concat", "none", 24),
        ("primary", "add", 16),
        ("primary", "concat", 16 + 32),
        ("auxiliary", "none", 8),
        ("auxiliary", "add", 8),
    ],
)
def test_widths_follow_from_the_branches(fusion: Fusion, position: Position, expected: int) -> None:
    config = FusionConfig(fusion, position, position_width=32)
    assert HybridRegionEncoder.connector_width(config, 16, 8) == expected
    encoder = build(config)
    features = encoder.pool(maps(16, 8, 0), maps(8, 16, 1), REGIONS)
    assert encoder.fuse(features).shape == (3, expected)
    assert encoder(maps(16, 8, 0), maps(8, 16, 1), REGIONS).shape == (3, 10)


def test_what_each_fusion_is() -> None:
    encoder = build(FusionConfig(position="none"), primary=8)
    features = encoder.pool(maps(8, 8, 0), maps(8, 16, 1), REGIONS)

    def fused(fusion: Fusion, position: Position = "none") -> Tensor:
        return build(FusionConfig(fusion, position, position_width=16), primary=8).fuse(features)

    primary, auxiliary = features.primary, features.auxiliary
    assert torch.equal(fused("primary"), primary)
    assert torch.equal(fused("auxiliary"), auxiliary)
    assert torch.equal(fused("mean"), (primary + auxiliary) / 2)
    assert torch.equal(fused("concat"), torch.cat([auxiliary, primary], dim=1))
    where = box_embedding(features.boxes, (1.0, 1.0), 16)
    torch.testing.assert_close(fused("concat", "add"), torch.cat([auxiliary, primary], dim=1) + where)
    assert torch.equal(fused("primary", "concat"), torch.cat([primary, where], dim=1))


def test_mean_needs_equal_widths() -> None:
    with pytest.raises(ValueError, match="16 and 8"):
        HybridRegionEncoder.connector_width(FusionConfig("mean"), 16, 8)


def test_normalising_makes_a_branch_blind_to_its_scale() -> None:
    encoder = build(FusionConfig(position="none", normalise=True))
    features = encoder.pool(maps(16, 8, 0), maps(8, 16, 1), REGIONS)
    louder = RegionFeatures(features.primary * 50, features.auxiliary, features.evidence, features.boxes)
    torch.testing.assert_close(encoder.fuse(features), encoder.fuse(louder), atol=1e-3, rtol=0)


def test_boxes_are_fractions_of_the_image_clamped_to_it() -> None:
    encoder = build(FusionConfig())
    regions = Regions.of([[-10, 0, 32, 24], [0, 0, 900, 900]], SIZE)
    features = encoder.pool(maps(16, 8, 0), maps(8, 16, 1), regions)
    assert features.boxes.tolist() == [[0, 0, 0.5, 0.5], [0, 0, 1, 1]]


def test_padding_before_the_image_moves_no_box() -> None:
    """The map of an image with a column of padding pools the same, at the same place."""
    encoder = build(FusionConfig())
    primary = maps(16, 8, 0)
    stride = primary.strides[0]
    moved = FeatureMaps(
        (torch.nn.functional.pad(primary.maps[0], (1, 0)),),
        primary.strides,
        Frame(SIZE, primary.frame.input_size, (stride, 0.0)),
    )
    inside = Regions.of([[8, 8, 30, 40], [50, 4, 60, 12]], SIZE)
    plain, padded = (encoder.pool(one, maps(8, 16, 1), inside) for one in (primary, moved))
    torch.testing.assert_close(plain.primary, padded.primary)
    torch.testing.assert_close(plain.boxes, padded.boxes)


def test_no_regions() -> None:
    encoder = build(FusionConfig())
    embeddings = encoder(maps(16, 8, 0), maps(8, 16, 1), Regions.empty(SIZE))
    assert embeddings.shape == (0, 10)


def test_degenerate_boxes_have_a_finite_feature() -> None:
    encoder = build(FusionConfig())
    regions = Regions.of([[10, 10, 10, 10], [30, 30, 10, 5], [500, 500, 600, 600]], SIZE)
    assert encoder(maps(16, 8, 0), maps(8, 16, 1), regions).isfinite().all()


def test_gradients_reach_connector_and_maps() -> None:
    encoder = build(FusionConfig())
    primary, auxiliary = maps(16, 8, 0), maps(8, 16, 1)
    for m in (*primary.maps, *auxiliary.maps):
        m.requires_grad_()
    encoder(primary, auxiliary, REGIONS).square().sum().backward()
    grads = [p.grad for p in encoder.parameters()] + [m.grad for m in (*primary.maps, *auxiliary.maps)]
    assert all(grad is not None and grad.abs().sum() > 0 for grad in grads)


def test_half_precision_maps() -> None:
    encoder = build(FusionConfig())
    primary, auxiliary = maps(16, 8, 0), maps(8, 16, 1)
    rounded = [FeatureMaps((m.maps[0].bfloat16(),), m.strides, m.frame) for m in (primary, auxiliary)]
    features = encoder.pool(*rounded, REGIONS)
    assert {features.primary.dtype, features.auxiliary.dtype, features.boxes.dtype} == {torch.float32}
    exact = encoder(primary, auxiliary, REGIONS)
    torch.testing.assert_close(encoder.embed(features), exact, atol=0.03, rtol=0)
    assert encoder.to(torch.bfloat16)(*rounded, REGIONS).dtype == torch.bfloat16


def test_inputs_are_not_changed() -> None:
    encoder = build(FusionConfig(normalise=True))
    primary, auxiliary = maps(16, 8, 0), maps(8, 16, 1)
    before = primary.maps[0].clone(), auxiliary.maps[0].clone(), REGIONS.xyxy.copy()
    first = encoder(primary, auxiliary, REGIONS)
    assert torch.equal(first, encoder(primary, auxiliary, REGIONS))
    assert torch.equal(before[0], primary.maps[0]) and torch.equal(before[1], auxiliary.maps[0])
    assert (before[2] == REGIONS.xyxy).all()


def test_evidence_is_seen_and_added() -> None:
    words = torch.zeros(4, 10)
    words[3, 2] = 5.0
    with_names = build(FusionConfig(), evidence=plain_evidence(words[:2], words[2:]))
    features = with_names.pool(maps(16, 8, 0), maps(8, 16, 1), REGIONS)
    assert features.evidence.tolist() == [[0, 0, 0, 1]] * 3
    assert with_names.connector.mlp[1].in_features == 24 + 4
    seen = torch.cat([with_names.fuse(features), features.evidence], dim=1)
    residual = with_names.embed(features) - with_names.connector(seen)
    torch.testing.assert_close(residual, with_names.evidence(features.evidence))
    assert residual[0, 2].item() == pytest.approx(5.0 * 3 / 4)  # words are centred on their mean


def test_features_take_and_stack() -> None:
    encoder = build(FusionConfig(), evidence=plain_evidence(torch.randn(4, 10)))
    features = encoder.pool(maps(16, 8, 0), maps(8, 16, 1), REGIONS)
    assert len(features) == 3
    swapped = features.take(torch.tensor([2, 0]))
    both = encoder.embed(features)
    torch.testing.assert_close(encoder.embed(swapped), both[[2, 0]])
    again = RegionFeatures.stack([features.take(torch.tensor([0])), features.take(torch.tensor([1, 2]))])
    assert torch.equal(again.primary, features.primary) and torch.equal(again.evidence, features.evidence)


def test_what_a_gallery_recalls_is_evidence() -> None:
    words = torch.zeros(5, 10)
    words[4, 2] = 5.0  # the second name of the gallery
    gallery = Gallery(24, names=2, width=6, examples=1)
    gallery.basis.copy_(torch.randn(24, 6, generator=torch.Generator().manual_seed(0)))
    encoder = HybridRegionEncoder(
        LevelBranch((16,)),
        LevelBranch((8,)),
        Connector(HybridRegionEncoder.connector_width(FusionConfig(), 16, 8, 3), 12, 10),
        FusionConfig(),
        evidence=plain_evidence(words[:1], words[1:3], words[3:]),
        auxiliary_namer=Fixed(3),
        gallery=gallery,
    ).eval()
    features = encoder.pool(maps(16, 8, 0), maps(8, 16, 1), REGIONS)
    assert features.recalled is None
    torch.testing.assert_close(
        encoder.recall(features).said, torch.cat([features.evidence, torch.zeros(3, 2)], 1)
    )
    before = encoder.embed(features)
    gallery.examples[1, 0] = gallery.project(encoder.hybrid(features))[2]
    recalled = encoder.recall(features)
    assert recalled.said.shape == (3, 5) and recalled.recalled is not None and recalled.recalled[2, 1] > 0.99
    changed = encoder.embed(features) - before
    assert changed[2, 2].item() == pytest.approx(5.0 * 4 / 5, abs=0.05)  # words are centred on their mean
    torch.testing.assert_close(encoder.embed(recalled), encoder.embed(features))
    some = RegionFeatures.stack([recalled.take(torch.tensor([1])), recalled.take(torch.tensor([2]))])
    assert some.recalled is not None and torch.equal(some.recalled, recalled.recalled[1:])
    assert encoder.recall(recalled) is recalled
