from __future__ import annotations

import numpy as np
import pytest
import torch

from fo1.encoders.feature_maps import FeatureMaps
from fo1.model import RegionModel
from fo1.types import Regions
from tiny import BOXES, StubProposer, embeddings, picture, read_as, region_model


def test_encode_proposes_where_no_regions_are_given(tiny_model: RegionModel) -> None:
    images = [picture(0), picture(1, (60, 90))]
    given = Regions.of([[1, 2, 30, 40]], images[0].size)
    with_given, proposed = tiny_model.encode(images, [given, None])
    assert with_given.regions is given
    assert proposed.regions.image_size == (60, 90) and len(proposed.regions) == len(BOXES)
    assert with_given.embeddings.shape == (1, 32) and with_given.image_tokens.shape == (1, 32)
    assert proposed.embeddings.shape == (6, 32) and proposed.image_tokens.shape == (1, 32)


def test_a_batch_is_encoded_as_single_images(tiny_model: RegionModel) -> None:
    images = [picture(0), picture(1, (60, 90)), picture(2)]
    for one, image in zip(tiny_model.encode(images, [None] * 3), images, strict=True):
        (alone,) = tiny_model.encode([image], [None])
        torch.testing.assert_close(one.embeddings, alone.embeddings)
        torch.testing.assert_close(one.image_tokens, alone.image_tokens)


def test_the_whole_image_is_the_image_token(tiny_model: RegionModel) -> None:
    image = picture(0)
    regions = Regions.of([[5, 5, 20, 30], [0, 0, *image.size]], image.size)
    (encoded,) = tiny_model.encode([image], [regions])
    torch.testing.assert_close(encoded.embeddings[1:], encoded.image_tokens)
    assert not torch.allclose(encoded.embeddings[0], encoded.image_tokens[0], atol=0.01)


def test_no_images_and_no_regions(tiny_model: RegionModel) -> None:
    assert tiny_model.encode([], []) == []
    (encoded,) = tiny_model.encode([picture(0)], [Regions.empty((80, 60))])
    assert encoded.embeddings.shape == (0, 32) and encoded.image_tokens.shape == (1, 32)


def test_some_of_the_regions(tiny_model: RegionModel) -> None:
    boxes = Regions.of([[i, 0, i + 9, 9] for i in range(9)], (80, 60))
    (encoded,) = tiny_model.encode([picture(0)], [boxes])
    for rows in ([7, 2], []):
        some = encoded.take(rows)
        assert some.regions.xyxy.tolist() == boxes.xyxy[rows].tolist()
        assert torch.equal(some.embeddings, encoded.embeddings[rows])
        assert some.evidence.shape[0] == len(rows)
        assert some.sight is encoded.sight and torch.equal(some.image_tokens, encoded.image_tokens)


def test_a_feature_proposer_reads_the_maps_instead_of_the_image() -> None:
    class Reader(StubProposer):
        encoder = None

        def propose_from(self, features: list[FeatureMaps]) -> list[Regions]:
            assert [f.channels for f in features] == [(8, 16)]
            return [Regions.of([[0, 0, 5, 5]], f.frame.image_size) for f in features]

    reader = Reader(BOXES)
    model = region_model(proposer=reader)
    (apart,) = model.encode([picture(0)], [None])
    assert len(apart.regions) == len(BOXES)
    reader.encoder = model.auxiliary
    (read,) = model.encode([picture(0)], [None])
    assert read.regions.xyxy.tolist() == [[0, 0, 5, 5]]


def test_inputs_are_not_changed(tiny_model: RegionModel) -> None:
    image = picture(0)
    pixels = np.asarray(image).copy()
    regions = Regions.of([[-5, -5, 200, 200]], image.size)
    (first,) = tiny_model.encode([image], [regions])
    (second,) = tiny_model.encode([image], [regions])
    assert torch.equal(first.embeddings, second.embeddings)
    assert (np.asarray(image) == pixels).all() and regions.xyxy.tolist() == [[-5, -5, 200, 200]]


def word_rows(model: RegionModel, text: str) -> torch.Tensor:
    return model.base.get_input_embeddings().weight[model.prompts.template(text)]


def test_a_phrases_embedding_is_the_mean_of_its_tokens(tiny_model: RegionModel) -> None:
    phrases = ["cup", "potted plant", "cup", "c"]
    embedded = tiny_model.phrase_embeddings(phrases)
    assert embedded.shape == (4, 32) and embedded.dtype == torch.float32
    torch.testing.assert_close(embedded, torch.stack([word_rows(tiny_model, p).mean(dim=0) for p in phrases]))
    assert torch.equal(embedded[0], embedded[2])
    assert torch.equal(embedded[3], word_rows(tiny_model, "c")[0])


def test_a_phrase_of_nothing_has_an_embedding(tiny_model: RegionModel) -> None:
    nothing, blank = tiny_model.phrase_embeddings(["", " "])
    assert torch.equal(nothing, word_rows(tiny_model, "?")[0])
    assert torch.equal(blank, word_rows(tiny_model, " ")[0])


def test_phrases_do_not_read_regions_or_special_tokens(tiny_model: RegionModel) -> None:
    one, phrases = read_as(2, 0), ["<region1>", "<|im_end|>"]
    plain = tiny_model.phrase_embeddings(phrases)
    with tiny_model.splice.bound([one.embeddings], [one.image_tokens]):
        assert torch.equal(tiny_model.phrase_embeddings(phrases), plain)
    expected = [torch.cat([word_rows(tiny_model, c) for c in p]).mean(dim=0) for p in phrases]
    torch.testing.assert_close(plain, torch.stack(expected))


def test_phrase_embeddings_carry_no_gradient_and_stay_exact_in_half_precision() -> None:
    model = region_model()
    model.base.requires_grad_(True)
    exact = model.phrase_embeddings(["potted plant"])
    assert not exact.requires_grad
    model.base.bfloat16()
    rounded = model.phrase_embeddings(["potted plant"])
    assert rounded.dtype == torch.float32
    expected = word_rows(model, "potted plant").float().mean(dim=0, keepdim=True)
    assert torch.equal(rounded, expected)
    torch.testing.assert_close(rounded, exact, atol=5e-3, rtol=0)


def test_encode_keeps_the_evidence_of_regions_but_not_of_the_whole_image(tiny_model: RegionModel) -> None:
    (without,) = tiny_model.encode([picture(0)], [None])
    assert without.evidence.shape == (len(BOXES), 0)
    model, image = region_model(classes=5), picture(0)
    (one,) = model.encode([image], [None])
    assert one.evidence.shape == (len(BOXES), 5) and one.evidence.std(dim=0).all()
    pooled = model.pool(*model.primary([image]), *model.auxiliary([image]), one.regions)
    assert torch.equal(one.evidence, pooled.evidence[:-1])
    (none,) = model.encode([image], [Regions.empty(image.size)])
    assert none.evidence.shape == (0, 5)


@pytest.mark.parametrize("read", [True, False], ids=["hidden", "stage 0"])
def test_region_logits_are_the_pointers_and_the_classifiers_support(read: bool) -> None:
    model = region_model(classes=5)
    (one,) = model.encode([picture(0)], [None])
    phrases = model.phrase_embeddings(["cup", "dog", "tree"])
    hidden = embeddings(3, 8) if read else None
    logits = model.region_logits(hidden, one.embeddings, one.evidence, phrases)
    support = model.encoder.evidence.support(phrases, one.evidence)
    assert logits.shape == (3, len(BOXES)) and logits.dtype == torch.float32
    assert support.std(dim=1).all()
    torch.testing.assert_close(logits, model.splice.pointer(hidden, one.embeddings, phrases) + support)


def test_region_logits_without_evidence_are_the_pointers(tiny_model: RegionModel) -> None:
    one, phrases = read_as(4, 0), tiny_model.phrase_embeddings(["cup", "dog"])
    logits = tiny_model.region_logits(embeddings(2, 8), one.embeddings, one.evidence, phrases)
    assert torch.equal(logits, tiny_model.splice.pointer(embeddings(2, 8), one.embeddings, phrases))


def test_a_static_vocabulary_has_no_region_logits() -> None:
    model, one = region_model(dynamic=False), read_as(4, 0)
    with pytest.raises(ValueError, match="no pointer"):
        model.region_logits(None, one.embeddings, one.evidence, model.phrase_embeddings(["cup"]))


def test_a_rival_name_takes_from_the_logits_of_a_region() -> None:
    names = ["cup", "dog", "tree"]
    model, plain = region_model(classes=5, names=names), region_model(classes=5)
    (one,) = model.encode([picture(0)], [None])
    phrases, hidden = model.phrase_embeddings(["dog", "zebra"]), embeddings(2, 8)
    unread = model.own_logits(None, one.embeddings, one.evidence, phrases)
    named = model.name_logits(one.embeddings, one.evidence)
    torch.testing.assert_close(named[1], unread[0])
    taken = model.lexicon.penalty(unread, named, phrases)
    assert (taken > 0).any() and (taken[0][named.argmax(dim=0) == 1] == 0).all()
    for read in (None, hidden):
        own = plain.region_logits(read, one.embeddings, one.evidence, phrases)
        rated = model.region_logits(read, one.embeddings, one.evidence, phrases)
        torch.testing.assert_close(rated, own - taken)


def test_without_a_lexicon_no_names_are_compared(tiny_model: RegionModel) -> None:
    (one,) = tiny_model.encode([picture(0)], [None])
    with pytest.raises(ValueError, match="no lexicon"):
        tiny_model.name_logits(one.embeddings, one.evidence)


def test_a_scene_holds_on_to_no_feature_maps(tiny_model: RegionModel) -> None:
    (one,) = tiny_model.encode([picture(0)], [None])
    assert one.sight.maps.maps == () and one.sight.maps.frame.image_size == (80, 60)
