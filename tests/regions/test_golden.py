"""The released region encoder, reproduced from recorded values at its real sizes.

The recordings lie beside the repository, not in it; without them these tests are skipped.
"""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from fo1.checkpoints.renaming import ours_to_released
from fo1.encoders.feature_maps import FeatureMaps, Frame
from fo1.regions.branches import LevelBranch, PyramidBranch
from fo1.regions.connector import Connector
from fo1.regions.encoder import FusionConfig, HybridRegionEncoder
from fo1.regions.position import box_embedding
from fo1.types import Regions

GOLDEN = Path(__file__).parents[3] / "shared" / "golden"
pytestmark = pytest.mark.skipif(not (GOLDEN / "set_a").is_dir(), reason="the golden recordings are not here")

# Both sides are float32 but sum thousands of products in another order: 2e-5 was seen, on values to 3.5.
TOLERANCE = 1e-4


def formula() -> ModuleType:
    spec = importlib.util.spec_from_file_location("golden_weights", GOLDEN / "golden_weights.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def fill(encoder: nn.Module) -> None:
    """Weights by the formula, which goes by the released key."""
    golden = formula()
    for key, value in encoder.state_dict().items():
        released = ours_to_released("encoder", key)
        value.copy_(torch.from_numpy(golden.weight(released, tuple(value.shape))))


@pytest.fixture(scope="module")
def described() -> dict:
    return json.loads((GOLDEN / "set_a" / "set_a.json").read_text())["hfre"]


@pytest.fixture(scope="module")
def recorded() -> dict[str, Tensor]:
    return load_file(GOLDEN / "set_a" / "hfre_real_roi7.safetensors")


@pytest.fixture(scope="module")
def maps(described: dict) -> tuple[FeatureMaps, FeatureMaps]:
    """Primary and auxiliary maps of one picture of 309 × 221."""
    golden = formula()
    auxiliary_shapes = [(256, 56, 78), (512, 28, 39), (1024, 14, 20), (2048, 7, 10)]
    levels = tuple(
        torch.from_numpy(golden.uniform(f"set_a.aux_l{i}", (1, *shape), 2.0))[0]
        for i, shape in enumerate(auxiliary_shapes)
    )
    last = torch.from_numpy(golden.uniform("set_a.vt_last", (1, 1280, 16, 22), 2.0))[0]
    height, width = described["aux_image_hw"]
    vit_height, vit_width = described["vt_image_hw"]
    size = (width, height)
    primary = FeatureMaps((last,), (14.0,), Frame(size, (vit_width, vit_height)))
    return primary, FeatureMaps(levels, (4.0, 8.0, 16.0, 32.0), Frame(size, size))


@pytest.fixture(scope="module")
def regions(recorded: dict[str, Tensor]) -> Regions:
    """Whole, empty, inverted, one-pixel and ordinary boxes."""
    return Regions.of(recorded["aux_boxes"].numpy(), (309, 221))


def build(described: dict, bins: int) -> HybridRegionEncoder:
    auxiliary = LevelBranch((256, 512, 1024, 2048), bins=bins, resize_to_first=True)
    primary = PyramidBranch(1280, bins=bins)
    config = FusionConfig()
    width = HybridRegionEncoder.connector_width(config, primary.out_channels, auxiliary.out_channels)
    encoder = HybridRegionEncoder(primary, auxiliary, Connector(width, 2048, 2048), config)
    fill(encoder)
    return encoder.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def encoder(described: dict) -> HybridRegionEncoder:
    return build(described, bins=7)


def close(actual: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(actual, expected, atol=TOLERANCE, rtol=0)


def test_the_table_names_every_released_weight(described: dict, encoder: HybridRegionEncoder) -> None:
    released = {ours_to_released("encoder", key) for key in encoder.primary.state_dict(prefix="primary.")}
    assert released == {f"model.object_vp_extractor.{key}" for key in described["shapes"]}


def test_boxes_in_the_primary_frame(maps, regions: Regions, recorded: dict[str, Tensor]) -> None:
    primary, _ = maps
    close(primary.frame.boxes_in(torch.tensor(regions.xyxy)), recorded["vt_boxes"])


def test_pyramid_levels(encoder: HybridRegionEncoder, maps, recorded: dict[str, Tensor]) -> None:
    primary, _ = maps
    for i, level in enumerate(encoder.primary.pyramid(primary.maps[-1])):
        close(level[None, ::8, ::3, ::3], recorded[f"fpn_l{i}[:, ::8, ::3, ::3]"])
        total, magnitude = recorded[f"fpn_l{i}.sum_abssum"].tolist()
        assert float(level.double().abs().sum()) == pytest.approx(magnitude, rel=1e-5)
        assert float(level.double().sum()) == pytest.approx(total, abs=1e-5 * magnitude)


def test_pooled_branches(encoder: HybridRegionEncoder, maps, regions, recorded: dict[str, Tensor]) -> None:
    features = encoder.pool(*maps, regions)
    close(features.auxiliary, recorded["aux_region_before_pos"])
    close(features.primary, torch.cat([recorded[f"vt_region_l{i}"] for i in range(4)], dim=1))


def test_box_embedding(recorded: dict[str, Tensor]) -> None:
    close(box_embedding(recorded["vt_boxes"], (308.0, 224.0), 5888), recorded["pos_embed"])


def test_fused_feature_and_region_tokens(
    encoder: HybridRegionEncoder, maps, regions: Regions, recorded: dict[str, Tensor]
) -> None:
    features = encoder.pool(*maps, regions)
    close(encoder.fuse(features), recorded["hfre_out"])
    close(encoder(*maps, regions), recorded["region_tokens"])


def test_other_number_of_bins(described: dict, maps, regions: Regions) -> None:
    recorded = load_file(GOLDEN / "set_a" / "hfre_real_roi14.safetensors")
    encoder = build(described, bins=14)
    features = encoder.pool(*maps, regions)
    close(features.auxiliary, recorded["aux_region_before_pos"])
    close(encoder.fuse(features), recorded["hfre_out"])
