"""`RegionModel`: built parts, put together. Images in, hidden states and scores out; no files, no verbs."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from copy import copy
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn
from transformers import DynamicCache

from fo1.encoders.encoder import VisionEncoder
from fo1.encoders.feature_maps import FeatureMaps
from fo1.errors import RegionError
from fo1.lock import Lock
from fo1.prompts.builder import PromptBuilder
from fo1.proposals.proposer import FeatureProposer, Proposer
from fo1.reading.reader import Reader
from fo1.regions.encoder import HybridRegionEncoder, RegionFeatures
from fo1.regions.lexicon import Lexicon
from fo1.types import Regions
from fo1.vlm.base import Base
from fo1.vlm.family import Sight, VLMFamily
from fo1.vlm.splice import RegionSplice
from fo1.vlm.words import phrase_means


@dataclass(frozen=True, eq=False)
class Begun:
    """The beginning of a prompt that the base has read.

    ids: its tokens. kept: keys and values of every layer. following: the next token's position, the same on
    each of the axes along which the base counts.
    """

    ids: tuple[int, ...]
    kept: DynamicCache
    following: int
    axes: int

    def cache(self) -> DynamicCache:
        """To go on from. The tensors are shared: a cache grows by putting longer ones in their place."""
        shared = copy(self.kept)
        shared.layers = [copy(layer) for layer in self.kept.layers]
        return shared

    def until(self, length: int) -> Begun:
        """Its own first tokens, if only text was read after them. The tensors are shared."""
        cut = self.cache()
        layers: list[Any] = cut.layers
        for layer in layers:
            layer.keys, layer.values = layer.keys[:, :, :length], layer.values[:, :, :length]
        following = self.following - len(self.ids) + length
        return replace(self, ids=self.ids[:length], kept=cut, following=following)


@dataclass(frozen=True)
class Encoded:
    """One image as the language model will read it.

    regions: N boxes, original pixels. embeddings: (N, D). evidence: (N, K) class probabilities, those that a
    gallery recalls among them; K may be 0.
    sight: what the base's own eyes make of the image. image_tokens: (M, D) that fill the image slots of a
    base without eyes, M = 0 for others. begun: beginnings of prompts about it that were read already.
    named: `RegionModel.name_logits` of its regions, once they were wanted.
    """

    regions: Regions
    embeddings: Tensor
    evidence: Tensor
    sight: Sight
    image_tokens: Tensor
    begun: dict[tuple[int, ...], Begun] = field(default_factory=dict, compare=False, repr=False)
    named: list[Tensor] = field(default_factory=list, compare=False, repr=False)

    def take(self, rows: Sequence[int]) -> Encoded:
        """The same image with the regions at `rows` only."""
        index = torch.as_tensor(rows, dtype=torch.long)
        return replace(
            self,
            regions=self.regions.take(index.numpy()),
            embeddings=self.embeddings[index.to(self.embeddings.device)],
            evidence=self.evidence[index.to(self.evidence.device)],
            begun={},
            named=[],
        )


class RegionModel(nn.Module):
    """A language model that reads regions.

    base: a language model that generates text. `splice` is installed on it here.
    family: how the base sees; its maps go to the region encoder's primary branch.
    primary: the family's own encoder, if it is no part of the base. auxiliary: the second encoder, if any.
    proposer: None for a model that is always given its boxes. lexicon: names that compete for regions; it
    needs a pointer and evidence. reader: of text, for a model whose language model reads none.
    lock: held by who runs the model. Base and tokenizer keep state between calls, the splice what is bound.
    """

    def __init__(
        self,
        base: Base,
        prompts: PromptBuilder,
        splice: RegionSplice,
        encoder: HybridRegionEncoder,
        family: VLMFamily,
        auxiliary: VisionEncoder | None = None,
        proposer: Proposer | None = None,
        primary: VisionEncoder | None = None,
        lexicon: Lexicon | None = None,
        reader: Reader | None = None,
    ) -> None:
        super().__init__()
        self.base, self.prompts, self.splice, self.encoder = base, prompts, splice, encoder
        self.primary, self.auxiliary, self.proposer = primary, auxiliary, proposer
        self.family, self.lexicon, self.reader = family, lexicon, reader
        self.lock = Lock()
        splice.install(base.get_input_embeddings(), base.get_output_embeddings())

    @property
    def capacity(self) -> int:
        """Most regions that one prompt can hold."""
        return self.prompts.vocabulary.capacity

    @property
    def stop_ids(self) -> tuple[int, ...]:
        """Tokens that end an answer: the turn's own end, and what the base takes for one."""
        config = self.base.generation_config
        known = None if config is None else config.eos_token_id
        others = known if isinstance(known, list) else [] if known is None else [known]
        return tuple(dict.fromkeys([self.prompts.stop_id, *others]))

    @property
    def device(self) -> torch.device:
        return self.base.device

    def propose(
        self, images: Sequence[Image.Image], auxiliary: Sequence[FeatureMaps | None]
    ) -> list[Regions]:
        """The proposer's regions, read off the auxiliary encoder's maps if it is the proposer's own."""
        if self.proposer is None:
            raise RegionError("this model has no proposer; give boxes")
        if isinstance(self.proposer, FeatureProposer) and self.proposer.encoder is self.auxiliary:
            return self.proposer.propose_from([maps for maps in auxiliary if maps is not None])
        return self.proposer.propose(images)

    def pool(self, primary: FeatureMaps, auxiliary: FeatureMaps | None, regions: Regions) -> RegionFeatures:
        """Features of one image's regions; for a base without eyes the whole image is one more, the last."""
        if self.family.blind:
            whole = [0, 0, *regions.image_size]
            regions = Regions.of([*regions.xyxy, whole], regions.image_size)
        return self.encoder.pool(primary, auxiliary, regions)

    @torch.inference_mode()
    def encode(self, images: Sequence[Image.Image], regions: Sequence[Regions | None]) -> list[Encoded]:
        """Everything about the images that does not depend on the question."""
        auxiliary = self._auxiliary_maps(images)
        known = [given for given in regions if given is not None]
        if len(known) < len(regions):
            proposed = self.propose(images, auxiliary)
            known = [
                found if given is None else given for given, found in zip(regions, proposed, strict=True)
            ]
        encoded = []
        for one, sight, auxiliary_maps in zip(known, self.family.see(images), auxiliary, strict=True):
            features = self.pool(sight.maps, auxiliary_maps, one)
            encoded.append(self.embed(features, one, sight.without_maps()))
        return encoded

    def pooled(self, images: Sequence[Image.Image], regions: Sequence[Regions]) -> list[RegionFeatures]:
        """Features of the regions of images that are only parts of what the base is shown."""
        seen = zip(self.family.see(images), self._auxiliary_maps(images), regions, strict=True)
        return [self.encoder.recall(self.encoder.pool(sight.maps, maps, one)) for sight, maps, one in seen]

    def _auxiliary_maps(self, images: Sequence[Image.Image]) -> list[FeatureMaps | None]:
        return [None] * len(images) if self.auxiliary is None else list(self.auxiliary(images))

    def embed(self, features: RegionFeatures, regions: Regions, sight: Sight) -> Encoded:
        """What `pool` made of an image, as the language model will read it; gradients as they are enabled."""
        features = self.encoder.recall(features)
        embeddings, count = self.encoder.embed(features), len(regions)
        tokens = embeddings[count:] if self.family.blind else embeddings[:0]
        return Encoded(regions, embeddings[:count], features.said[:count], sight, tokens)

    def bound(self, encoded: Sequence[Encoded]) -> AbstractContextManager[None]:
        """Within this context the base reads and writes about these images, one per row of a batch."""
        return self.splice.bound([one.embeddings for one in encoded], [one.image_tokens for one in encoded])

    def phrase_embeddings(self, phrases: Sequence[str]) -> Tensor:
        """Mean of the base's own word embeddings of each phrase, (L, D) float32."""
        return phrase_means(self.base, self.prompts, phrases)

    def own_logits(
        self, hidden: Tensor | None, embeddings: Tensor, evidence: Tensor, phrases: Tensor
    ) -> Tensor:
        """As `region_logits`, but for what other names say of the region."""
        return self._pointed(hidden, embeddings, phrases) + self._support(evidence, phrases)

    def _pointed(self, hidden: Tensor | None, embeddings: Tensor, phrases: Tensor) -> Tensor:
        if self.splice.pointer is None:
            raise ValueError("a static region vocabulary has no pointer")
        logits: Tensor = self.splice.pointer(hidden, embeddings, phrases)
        return logits

    def _support(self, evidence: Tensor, phrases: Tensor) -> Tensor | float:
        known = self.encoder.evidence
        return 0.0 if known is None else known.support(phrases, evidence)

    def region_logits(
        self,
        hidden: Tensor | None,
        embeddings: Tensor,
        evidence: Tensor,
        phrases: Tensor,
        named: Tensor | None = None,
    ) -> Tensor:
        """How much each region is what is being named, (L, N) float32.

        The pointer's word, the encoders' support, less what a rival name takes.
        hidden: (L, D) states where the regions are named, None before the language model is in the loop;
        embeddings: (N, D); evidence: (N, K); phrases: (L, D), see `phrase_embeddings`. named: `name_logits`,
        if they are known.
        """
        support = self._support(evidence, phrases)
        logits = self._pointed(hidden, embeddings, phrases) + support
        if self.lexicon is None:
            return logits
        unread = logits if hidden is None else self._pointed(None, embeddings, phrases) + support
        names = self.name_logits(embeddings, evidence) if named is None else named
        return logits - self.lexicon.penalty(unread, names, phrases)

    def name_logits(self, embeddings: Tensor, evidence: Tensor) -> Tensor:
        """How well each name of the lexicon suits each region, (V, N) float32, before any question is read.

        embeddings: (N, D); evidence: (N, K).
        """
        if self.lexicon is None or self.encoder.evidence is None or self.splice.pointer is None:
            raise ValueError("this model has no lexicon")
        named: Tensor = self.splice.pointer(None, embeddings, self.lexicon.words)
        return named + self.encoder.evidence.support_of(self.lexicon.affinity, evidence)
