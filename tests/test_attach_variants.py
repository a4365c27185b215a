"""What can be chosen in `attach`, and what it refuses; once each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tokenizers import AddedToken
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel

import fo1
from attachable import CASES, DAVIT, REGIONS, attached
from checkpoints.mini import write_released
from fo1 import CheckpointError, Fo1Error, FusionConfig, PromptError, Regions, RegionsConfig
from fo1.checkpoints.attached import make_auxiliary
from fo1.errors import RegistryError
from fo1.forest import read_trees
from fo1.model import Encoded
from fo1.prompts.tree import PromptTree
from fo1.prompts.vocabulary import THINK, THINK_END
from fo1.regions.branches import LevelBranch
from fo1.vlm.family import VLMFamily
from tiny import StubProposer, byte_tokenizer, picture
from vlm.families.harness import Processor

BOXES = [[10.0, 10, 80, 60], [50, 30, 120, 100], [0, 0, 40, 40]]
IMAGE = picture(1, (168, 126))


@pytest.fixture
def family() -> VLMFamily:
    return CASES["qwen3_vl"].build()


def same_after_loading(model: fo1.FO1, folder: Path, dtype: str = "float32") -> fo1.FO1:
    """Saves and loads, and checks that an answer and the scores stay."""
    fo1.save(model, folder / "saved")
    loaded = fo1.load(folder / "saved", device="cpu", dtype=dtype)
    before, after = (m.look(IMAGE, BOXES) for m in (model, loaded))
    assert torch.equal(before.encoded.embeddings, after.encoded.embeddings)
    assert before.ask("What?", 5) == after.ask("What?", 5)
    assert np.array_equal(before.detect("cup").confidence["cup"], after.detect("cup").confidence["cup"])
    return loaded


# Region encoders


@pytest.mark.parametrize(
    ("auxiliary", "regions"),
    [
        (None, RegionsConfig(FusionConfig("primary"), pyramid_width=8, hidden=16)),
        (None, RegionsConfig(FusionConfig("primary"), pyramid=False, hidden=16)),
        (DAVIT, RegionsConfig(pyramid=False, hidden=16)),
        (DAVIT, RegionsConfig(FusionConfig("mean"), pyramid_width=30, hidden=16)),
        (DAVIT, RegionsConfig(FusionConfig("auxiliary"), pyramid_width=8, hidden=16)),
        (DAVIT, RegionsConfig(FusionConfig(position="none"), pyramid_width=8, hidden=16)),
        (DAVIT, RegionsConfig(FusionConfig(position="concat", position_width=16, normalise=True), hidden=16)),
    ],
    ids=["alone", "alone-4-maps", "4-maps", "mean", "auxiliary", "no-position", "concat-normalised"],
)
def test_region_encoders(family: VLMFamily, tmp_path: Path, auxiliary: Any, regions: RegionsConfig) -> None:
    model = attached(family, auxiliary=auxiliary, regions=regions)
    encoder, fusion = model.model.encoder, regions.fusion
    assert (model.model.auxiliary is None) is (auxiliary is None)
    assert isinstance(encoder.primary, LevelBranch) is not regions.pyramid
    primary = 4 * (regions.pyramid_width if regions.pyramid else family.channels[0])
    width = {"primary": primary, "mean": 120, "auxiliary": 120, "concat": primary + 120}[fusion.fusion]
    inputs = width + (16 if fusion.position == "concat" else 0)
    assert encoder.connector.mlp[1].in_features == inputs
    embeddings = model.look(IMAGE, BOXES).encoded.embeddings
    assert embeddings.shape == (3, 64) and torch.pdist(embeddings).min() > 0
    loaded = same_after_loading(model, tmp_path)
    assert loaded.description.config == model.description.config


def test_by_default_as_in_the_paper_as_far_as_there_are_encoders(family: VLMFamily) -> None:
    assert fo1.attach(family.base, family.processor).model.encoder.config == FusionConfig("primary")
    both = fo1.attach(family.base, family.processor, auxiliary=DAVIT).model.encoder
    assert both.config == FusionConfig("concat", "add")
    assert both.connector.mlp[1].in_features == 120 + 4 * 512


def test_an_encoder_given_as_a_module(family: VLMFamily, tmp_path: Path) -> None:
    davit = make_auxiliary(DAVIT)
    model = attached(family, auxiliary=davit)
    assert model.model.auxiliary is davit
    assert model.look(IMAGE, BOXES).ask("What?", 3) is not None
    with pytest.raises(CheckpointError, match="given as a module.*AuxiliaryConfig"):
        fo1.save(model, tmp_path / "saved")
    assert not (tmp_path / "saved").exists()


def test_a_base_in_half_precision(family: VLMFamily, tmp_path: Path) -> None:
    """The new parts are float32, to be trained; what is loaded again is as asked."""
    exact = attached(family).look(IMAGE, BOXES).encoded.embeddings
    family.base.bfloat16()
    model = attached(family)
    assert {p.dtype for p in model.model.encoder.parameters()} == {torch.float32}
    embeddings = model.look(IMAGE, BOXES).encoded.embeddings
    assert torch.cosine_similarity(embeddings, exact).min() > 0.99
    fo1.save(model, tmp_path / "saved")
    loaded = fo1.load(tmp_path / "saved", device="cpu", dtype="bfloat16")
    assert {p.dtype for p in loaded.model.encoder.parameters()} == {torch.bfloat16}
    assert {p.dtype for p in loaded.model.base.parameters()} == {torch.bfloat16}
    again = loaded.look(IMAGE, BOXES)
    assert torch.cosine_similarity(again.encoded.embeddings.float(), exact).min() > 0.98
    assert again.ask("What?", 3) is not None


def test_a_base_in_training_stays_in_training(family: VLMFamily) -> None:
    family.base.train().requires_grad_(True)
    model = attached(family)
    assert family.base.training and all(p.requires_grad for p in family.base.parameters())
    others = (model.model.encoder, model.model.splice, model.model.auxiliary)
    assert not any(part.training for part in others)
    assert not any(p.requires_grad for part in others for p in part.parameters())


def test_two_models_on_one_base(family: VLMFamily) -> None:
    first, second = attached(family, seed=1), attached(family, seed=2)
    answers = [m.look(IMAGE, BOXES).ask("What?", 5) for m in (first, second, first)]
    assert answers[0] == answers[2] != answers[1]


# Proposers


def test_a_proposer_of_ones_own(family: VLMFamily) -> None:
    model = attached(family, proposer=StubProposer([[0.1, 0.1, 0.5, 0.5], [0.4, 0.4, 0.9, 0.9]]))
    assert len(model.look(IMAGE).regions) == 2
    with pytest.raises(Fo1Error, match="no proposer"):
        attached(family).look(IMAGE)


def test_a_loaded_model_proposes_with_the_bundled_detector(family: VLMFamily, tmp_path: Path) -> None:
    loaded = same_after_loading(attached(family), tmp_path)
    assert isinstance(loaded.look(IMAGE).regions, Regions)


# Vocabularies


def test_a_dynamic_vocabulary_is_kept(family: VLMFamily, tmp_path: Path) -> None:
    model = attached(family, vocabulary="dynamic", capacity=2)
    model.model.splice.pointer.query.weight.data.normal_(0, 0.3)
    loaded = same_after_loading(model, tmp_path)
    assert (loaded.model.capacity, loaded.settings.threshold) == (2, 0.5)
    assert not loaded.model.prompts.chat.region_slots


def test_a_dynamic_vocabulary_learns(family: VLMFamily) -> None:
    """Every region is a yes or no where the answer names the regions of a label."""
    model = attached(family, vocabulary="dynamic")
    inner, regions, labels = model.model, Regions.of(BOXES, IMAGE.size), ["cup", "dog"]
    inner.splice.pointer.query.weight.data.normal_(0, 0.3)  # it begins at zero: hidden states say nothing
    trained = {"encoder": inner.encoder, "splice": inner.splice}
    for part in trained.values():
        part.requires_grad_(True)
    with torch.no_grad():
        (sight,), (second,) = inner.family.see([IMAGE]), inner.auxiliary([IMAGE])
    embeddings = inner.encoder(sight.maps, second, regions)
    tree = PromptTree()
    prefix = inner.prompts.prefix(sight.ids, 3) + inner.prompts.question("cup, dog", 3)
    root = tree.add(prefix)
    places = [tree.last(tree.add(inner.prompts.naming(label, 3), root, answer=True)) for label in labels]
    encoded = Encoded(regions, embeddings, embeddings.new_zeros(3, 0), sight, embeddings[:0])
    (outputs,) = read_trees(inner, [tree], [encoded], [places])
    scores = inner.region_logits(
        outputs.states, embeddings, encoded.evidence, inner.phrase_embeddings(labels)
    )
    truth = torch.tensor([[1.0, 0, 0], [0, 1, 0]])
    F.binary_cross_entropy_with_logits(scores, truth).backward()
    for name, parameter in inner.named_parameters():
        # A head that is not asked for a word; what no free text is written with.
        if name.split(".")[0] in trained and name != "splice.output_rows":
            assert parameter.grad is not None and 0 < parameter.grad.abs().sum() < 1e6, name
        else:
            assert parameter.grad is None, name


def say(model: fo1.FO1, answer: str, regions: int) -> None:
    """Makes the base write this answer, through its own `generate`."""
    prompts = model.model.prompts
    script = [*prompts.answer_text(answer, regions), prompts.stop_id]
    written: list[int] = []

    def dictate(_: nn.Module, __: tuple[Any, ...], logits: Tensor) -> Tensor:
        out = logits[:, -1:].clone()
        out[..., script[len(written)]] = out.max() + 3
        written.append(script[len(written)])
        return out

    model.model.base.get_output_embeddings().register_forward_hook(dictate)


def test_a_static_vocabulary_is_read_off_the_answer(family: VLMFamily) -> None:
    model = attached(family)
    scene = model.look(IMAGE, BOXES)
    grounded = "<ground>cup</ground><objects><region2><region0></objects>"
    text = f"{grounded}<ground>dog</ground><objects><region9></objects>"
    say(model, text, regions=10)
    found = scene.detect(["cup", "dog", "bird"], constrained=False)
    assert found.answer.text == text and found.answer.unknown_regions == (9,)
    assert sorted(found.regions.tolist()) == [0, 2] and found.labels == ("cup", "cup")
    assert found.absent == ("dog", "bird")
    chances = found.confidence["cup"]
    assert chances[1] == 0 and 0 < chances[[0, 2]].min() and chances.max() < 1


def test_more_regions_than_names(family: VLMFamily) -> None:
    model = attached(family, capacity=2)
    scene = model.look(IMAGE, BOXES)
    say(model, "<ground>cup</ground><objects><region0></objects>", regions=2)
    found = scene.detect("cup", threshold=0, constrained=False)
    assert (found.confidence["cup"] > 0).tolist() == [True, False, True]


def thinking(family: VLMFamily) -> VLMFamily:
    """As Qwen3's tokenizers, which know these tags, not as special ones; the base has rows for them."""
    tags = [AddedToken(tag, special=False) for tag in (THINK, THINK_END)]
    family.processor.tokenizer.add_tokens(tags)
    return family


def test_tags_that_the_base_knows_keep_their_rows(family: VLMFamily, tmp_path: Path) -> None:
    model = attached(thinking(family))
    prompts, splice = model.model.prompts, model.model.splice
    ids = prompts.answer_text(THINK + "<ground>", 3)
    assert ids == [262, splice.first_own + 100] and prompts.vocabulary.tags[THINK] == 262
    scene = model.look(IMAGE, BOXES)
    embedding = family.base.get_input_embeddings()
    with model.model.bound([scene.encoded]):
        read = embedding(torch.tensor([ids]))[0]
    assert torch.equal(read[0], embedding.weight[262]) and torch.equal(read[1], splice.input_rows[100])
    assert THINK not in prompts.tokenizer.convert_ids_to_tokens(prompts.user_text(THINK, 3))
    say(model, f"{THINK}hm{THINK_END}<ground>cup</ground><objects><region1></objects>", 3)
    found = scene.detect("cup", constrained=False)
    assert found.regions.tolist() == [1]
    assert found.answer.text == f"{THINK}hm{THINK_END}<ground>cup</ground><objects><region1></objects>"
    plain = CASES["qwen3_vl"].build()
    loaded = same_after_loading(attached(thinking(plain)), tmp_path)
    assert loaded.model.prompts.vocabulary.tags[THINK] == 262


# Embedding tables


@pytest.mark.parametrize("rows", [262, 263, 500])
def test_tables_with_and_without_spare_rows(family: VLMFamily, rows: int) -> None:
    answers = []
    for size in (262, rows):
        base = CASES["qwen3_vl"].build()
        base.base.resize_token_embeddings(size, mean_resizing=False)
        model = attached(base)
        vocabulary = model.model.prompts.vocabulary
        assert (vocabulary.first_region, vocabulary.size) == (262, 368)
        scene = model.look(IMAGE, BOXES)
        answers.append((scene.ask("What?", 6), scene.ask("Where is <region1>?", 6, beams=2)))
    assert answers[0] == answers[1]


def test_a_table_smaller_than_the_tokenizer(family: VLMFamily) -> None:
    family.base.resize_token_embeddings(261)
    with pytest.raises(
        CheckpointError, match=r"262 tokens, .* only 261 rows.*resize_token_embeddings\(262\)"
    ):
        attached(family)


def test_a_tied_head_stays_tied() -> None:
    case = CASES["qwen2_5_vl"].build()
    config = case.base.config
    config.tie_word_embeddings = config.text_config.tie_word_embeddings = True
    torch.manual_seed(0)
    base = type(case.base)(config).eval()
    model = attached(type(case)(base, case.processor))
    assert base.get_output_embeddings().weight is base.get_input_embeddings().weight
    assert model.look(IMAGE, BOXES).ask("What?", 5) is not None
    assert base.get_output_embeddings().weight.shape == (288, 64)


# A base that has the rows itself


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_released(tmp_path_factory.mktemp("released"))


@pytest.mark.parametrize("kind", ["static", "dynamic"])
def test_a_released_base_keeps_its_rows(released: Path, tmp_path: Path, kind: Any) -> None:
    own = fo1.load(released, device="cpu", dtype="float32")
    model = own
    if kind == "dynamic":
        parts = own.description
        model = attached(type(parts.family)(parts.base, parts.processor), vocabulary=kind)
    assert not model.model.splice.input_rows.numel()
    loaded = same_after_loading(model, tmp_path)
    assert not loaded.model.splice.input_rows.numel()
    assert (tmp_path / "saved" / "splice.safetensors").exists() is (kind == "dynamic")


# Refusals


def test_saving_into_a_folder_in_use(family: VLMFamily, tmp_path: Path) -> None:
    model = attached(family)
    (tmp_path / "empty").mkdir()
    fo1.save(model, tmp_path / "empty")
    for taken in (tmp_path / "empty", tmp_path / "empty" / "config.json"):
        with pytest.raises(CheckpointError, match="is not an empty folder"):
            fo1.save(model, taken)


def test_rows_that_are_missing(family: VLMFamily, tmp_path: Path) -> None:
    fo1.save(attached(family), tmp_path / "saved")
    (tmp_path / "saved" / "splice.safetensors").unlink()
    with pytest.raises(CheckpointError, match="rows of added tokens do not fit"):
        fo1.load(tmp_path / "saved", device="cpu", dtype="float32")


def test_the_bundled_model_is_not_saved(tiny_fo1: fo1.FO1, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="tiny is not an attached model"):
        fo1.save(tiny_fo1, tmp_path / "saved")
    assert not (tmp_path / "saved").exists()


def test_parts_that_do_not_fit(family: VLMFamily) -> None:
    base, processor = family.base, family.processor
    with pytest.raises(CheckpointError, match="there is no auxiliary encoder"):
        fo1.attach(base, processor, regions=REGIONS)
    with pytest.raises(CheckpointError, match="mean fusion needs equal widths, got 32 and 120"):
        uneven = RegionsConfig(FusionConfig("mean"), pyramid_width=8)
        fo1.attach(base, processor, auxiliary=DAVIT, regions=uneven)
    with pytest.raises(CheckpointError, match="vocabulary.kind = 'open'; known: static, dynamic"):
        fo1.attach(base, processor, vocabulary="open")  # type: ignore[arg-type]
    with pytest.raises(CheckpointError, match=r"chat\.colour"):
        fo1.attach(base, processor, chat={"colour": ""})
    assert not base.get_input_embeddings()._forward_hooks


def test_a_family_that_nobody_knows() -> None:
    config = LlamaConfig(
        vocab_size=258, hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2
    )
    base: PreTrainedModel = LlamaForCausalLM(config)
    with pytest.raises(RegistryError, match="'llama'.*families.md"):
        fo1.attach(base, Processor(None, byte_tokenizer()))


def test_a_tokenizer_without_the_end_of_a_turn(family: VLMFamily) -> None:
    with pytest.raises(CheckpointError, match="no '<end>'.*chat"):
        attached(family, chat={"stop": "<end>"})
    assert attached(family, chat={"stop": "<|vision_end|>"}).model.prompts.stop_id == 259


def test_a_tokenizer_with_regions_of_its_own(family: VLMFamily) -> None:
    family.processor.tokenizer.add_tokens(["<region0>", "<region1>"], special_tokens=True)
    with pytest.raises(PromptError, match="lacks <region2>"):
        attached(family)


def test_an_image_of_another_size_than_its_regions(family: VLMFamily) -> None:
    model = attached(family)
    with pytest.raises(Fo1Error, match="regions are of a"):
        model.look(Image.new("RGB", (50, 50)), Regions.of(BOXES, (168, 126)))
