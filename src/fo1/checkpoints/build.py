"""Config + base language model → `RegionModel`. The one place where parts and sizes meet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from transformers import PreTrainedTokenizerBase

from fo1.checkpoints.config import ModelConfig
from fo1.encoders import names
from fo1.encoders.efficientnet_lite import EfficientNetLite, EfficientNetPyramid
from fo1.encoders.nanodet import NanoDet
from fo1.model import RegionModel
from fo1.prompts.builder import ChatFormat, PromptBuilder
from fo1.prompts.vocabulary import RegionVocabulary
from fo1.proposals.nanodet import NanoDetProposer
from fo1.proposals.proposer import Selection
from fo1.regions.branches import LevelBranch, ScaleBranch
from fo1.regions.connector import Connector
from fo1.regions.encoder import FusionConfig, HybridRegionEncoder
from fo1.regions.evidence import NameEvidence
from fo1.regions.gallery import Gallery
from fo1.regions.lexicon import Lexicon
from fo1.regions.namers import ClassifierNamer, DetectorNamer
from fo1.vlm.blind import BlindFamily
from fo1.vlm.llama import Llama
from fo1.vlm.pointer import RegionPointer
from fo1.vlm.splice import RegionSplice
from fo1.vlm.words import phrase_means

FUSION = FusionConfig(fusion="concat", position="concat", position_width=128, normalise=True)


def build_model(
    config: ModelConfig,
    base: Llama,
    tokenizer: PreTrainedTokenizerBase,
    lexicon: Sequence[str] = (),
) -> RegionModel:
    """A model with fresh weights in everything but the base; the encoders wait for theirs.

    lexicon: names that compete for regions.
    """
    vocabulary = RegionVocabulary.extend(tokenizer, config.capacity)
    chat = ChatFormat(region_slots=False, label_space=True, pointing=config.pointing)
    prompts = PromptBuilder(tokenizer, vocabulary, chat)
    width = base.get_input_embeddings().get_parameter("weight").shape[1]
    detector = NanoDet(config.detector_side)
    pyramid = EfficientNetPyramid(EfficientNetLite(), config.classifier_sides)
    auxiliary = LevelBranch(detector.channels[: NanoDet.PAN.stop], aligned=True)
    network = pyramid.network
    primary = ScaleBranch(network.channels, config.classifier_sides, network.shifts, config.canonical_side)
    namers = DetectorNamer(), ClassifierNamer(network.classifier)
    classes = names.coco(), names.imagenet()
    aliases, alias_of = zip(*names.everyday(), strict=True)
    widths = primary.out_channels, auxiliary.out_channels
    gallery, recalled = None, tuple(lexicon[: config.gallery_names])
    if recalled:
        channels, _ = FUSION.widths(*widths)
        gallery = Gallery(channels, len(recalled), config.gallery_width, config.gallery_examples)
    inputs = HybridRegionEncoder.connector_width(FUSION, *widths, sum(n.classes for n in namers))
    evidence = NameEvidence(
        [phrase_means(base, prompts, c) for c in (*classes, *([recalled] if recalled else ()))],
        phrase_means(base, prompts, aliases),
        torch.tensor(alias_of),
    )
    encoder = HybridRegionEncoder(
        primary,
        auxiliary,
        Connector(inputs, config.hidden, width, config.dropout, config.embedding_rms),
        FUSION,
        auxiliary_namer=namers[0],
        primary_namer=namers[1],
        evidence=evidence,
        gallery=gallery,
    )
    words = phrase_means(base, prompts, lexicon) if lexicon else None
    return RegionModel(
        base,
        prompts,
        RegionSplice(vocabulary, width, RegionPointer(width, config.pointer_rank)),
        encoder,
        BlindFamily(base, pyramid, cast(int, vocabulary.image_slot), chat),
        auxiliary=detector,
        proposer=NanoDetProposer(detector, Selection(**config.proposals)),  # type: ignore[arg-type]
        primary=pyramid,
        lexicon=None if words is None else Lexicon(lexicon, words, evidence.affinity(words)),
    )
