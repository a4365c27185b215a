"""`RegionModel`: built parts, put together. Images in, hidden states and scores out; no files, no verbs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedModel

from fo1.encoders.encoder import VisionEncoder
from fo1.encoders.feature_maps import FeatureMaps
from fo1.errors import RegionError
from fo1.prompts.builder import PromptBuilder
from fo1.prompts.tree import PromptTree
from fo1.proposals.proposer import FeatureProposer, Proposer
from fo1.regions.encoder import HybridRegionEncoder, RegionFeatures
from fo1.types import Regions
from fo1.vlm.splice import RegionSplice


@dataclass(frozen=True)
class Encoded:
    """One image as the language model will read it.

    regions: N boxes, original pixels. embeddings: (N, D). evidence: (N, K) class probabilities, K may be 0.
    image_tokens: (M, D).
    """

    regions: Regions
    embeddings: Tensor
    evidence: Tensor
    image_tokens: Tensor


class RegionModel(nn.Module):
    """A language model that reads regions.

    base: a Hugging Face causal model. `splice` is installed on it here. The whole image is read as one more
    region, whose embedding is the image token, since the bundled base has no eyes of its own.
    """

    def __init__(
        self,
        base: PreTrainedModel,
        prompts: PromptBuilder,
        splice: RegionSplice,
        encoder: HybridRegionEncoder,
        primary: VisionEncoder,
        auxiliary: VisionEncoder,
        proposer: Proposer,
    ) -> None:
        super().__init__()
        self.base, self.prompts, self.splice, self.encoder = base, prompts, splice, encoder
        self.primary, self.auxiliary, self.proposer = primary, auxiliary, proposer
        splice.install(base.get_input_embeddings(), base.get_output_embeddings())

    @property
    def capacity(self) -> int:
        """Most regions that one prompt can hold."""
        return self.prompts.vocabulary.capacity

    @property
    def device(self) -> torch.device:
        return self.base.device

    def propose(self, images: Sequence[Image.Image], auxiliary: Sequence[FeatureMaps]) -> list[Regions]:
        """The proposer's regions, read off the auxiliary encoder's maps where it can."""
        if isinstance(self.proposer, FeatureProposer):
            return self.proposer.propose_from(auxiliary)
        return self.proposer.propose(images)

    def pool(self, primary: FeatureMaps, auxiliary: FeatureMaps, regions: Regions) -> RegionFeatures:
        """Features of one image's regions; the whole image is the last row.

        Raises `RegionError` for more regions than the model has names for.
        """
        if len(regions) > self.capacity:
            raise RegionError(
                f"{len(regions)} regions, but the model can name {self.capacity}; pass the best ones"
            )
        whole = [0, 0, *regions.image_size]
        return self.encoder.pool(primary, auxiliary, Regions.of([*regions.xyxy, whole], regions.image_size))

    @torch.inference_mode()
    def encode(self, images: Sequence[Image.Image], regions: Sequence[Regions | None]) -> list[Encoded]:
        """Everything about the images that does not depend on the question."""
        auxiliary = self.auxiliary(images)
        known = [given for given in regions if given is not None]
        if len(known) < len(regions):
            proposed = self.propose(images, auxiliary)
            known = [
                found if given is None else given for given, found in zip(regions, proposed, strict=True)
            ]
        encoded = []
        for one, primary_maps, auxiliary_maps in zip(known, self.primary(images), auxiliary, strict=True):
            features = self.pool(primary_maps, auxiliary_maps, one)
            embeddings = self.encoder.embed(features)
            encoded.append(Encoded(one, embeddings[:-1], features.evidence[:-1], embeddings[-1:]))
        return encoded

    def phrase_embeddings(self, phrases: Sequence[str]) -> Tensor:
        """Mean of the base's own word embeddings of each phrase, (L, D) float32."""
        table = self.base.get_input_embeddings().get_parameter("weight")
        ids = [self.prompts.phrase(phrase) for phrase in phrases]
        return torch.stack([table[torch.tensor(i)].float().mean(dim=0) for i in ids]).detach()

    def region_logits(
        self, hidden: Tensor | None, embeddings: Tensor, evidence: Tensor, phrases: Tensor
    ) -> Tensor:
        """How much each region is what is being named, (L, N) float32: the pointer's word and the encoders'.

        hidden: (L, D) states where the regions are named, None before the language model is in the loop;
        embeddings: (N, D); evidence: (N, K); phrases: (L, D), see `phrase_embeddings`.
        """
        if self.splice.pointer is None:
            raise ValueError("a static region vocabulary has no pointer")
        logits: Tensor = self.splice.pointer(hidden, embeddings, phrases)
        support = self.encoder.evidence
        return logits if support is None else logits + support.support(phrases, evidence)

    def hidden_states(
        self, trees: Sequence[PromptTree], regions: Sequence[Tensor], images: Sequence[Tensor]
    ) -> Tensor:
        """Last hidden states (B, T, D) of a batch of prompt trees, right-padded to the longest."""
        longest = max(len(tree) for tree in trees)
        ids = pad_sequence([tree.tokens() for tree in trees], batch_first=True)
        positions = pad_sequence([tree.positions() for tree in trees], batch_first=True)
        allowed = torch.eye(longest, dtype=torch.bool).repeat(len(trees), 1, 1)
        for row, tree in zip(allowed, trees, strict=True):
            row[: len(tree), : len(tree)] = tree.mask()
        with self.splice.bound(regions, images):
            output = self.base.model(
                input_ids=ids.to(self.device),
                position_ids=positions.to(self.device),
                attention_mask=additive(allowed, self.base.dtype).to(self.device),
                use_cache=False,
            )
        return output.last_hidden_state


def additive(allowed: Tensor, dtype: torch.dtype) -> Tensor:
    """(B, T, S) bool → (B, 1, T, S) mask to add to attention logits; on CPU faster than a boolean one."""
    mask = torch.zeros(allowed.shape, dtype=dtype)
    return mask.masked_fill_(~allowed, torch.finfo(dtype).min)[:, None]
