"""A region model small enough to build in every test: random weights, byte tokenizer, no downloads."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import transformers
from PIL import Image
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from torch import Tensor, nn
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from fo1.encoders.feature_maps import FeatureMaps, Frame
from fo1.model import Encoded, RegionModel
from fo1.prompts.builder import ChatFormat, PromptBuilder
from fo1.prompts.vocabulary import RegionVocabulary
from fo1.proposals.proposer import Proposer
from fo1.regions.branches import LevelBranch
from fo1.regions.connector import Connector
from fo1.regions.encoder import FusionConfig, HybridRegionEncoder
from fo1.regions.evidence import NameEvidence
from fo1.regions.lexicon import Lexicon
from fo1.regions.namers import Namer
from fo1.types import Regions
from fo1.vlm.blind import BlindFamily
from fo1.vlm.family import Sight
from fo1.vlm.llama import Llama, LlamaConfig
from fo1.vlm.pointer import RegionPointer
from fo1.vlm.splice import RegionSplice

WIDTH = 32
CAPACITY = 100


def byte_tokenizer() -> PreTrainedTokenizerFast:
    """One token per byte, and the turns of ChatML: 258 ids."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={letter: i for i, letter in enumerate(letters)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken("<|im_start|>"), AddedToken("<|im_end|>")])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|im_end|>")


def llama(vocab_size: int = 258, seed: int = 0) -> Llama:
    """`transformers_llama`, the same to the last weight."""
    other = transformers_llama(vocab_size, seed)
    made = Llama(LlamaConfig.from_dict(other.config.to_dict()), other.generation_config)
    made.load_state_dict(other.state_dict())
    return made.eval().requires_grad_(False)


def transformers_llama(vocab_size: int = 258, seed: int = 0) -> LlamaForCausalLM:
    """Two random layers, float32. Wider than usual weights, so that what was read before matters."""
    torch.manual_seed(seed)
    config = transformers.LlamaConfig(
        vocab_size=vocab_size,
        hidden_size=WIDTH,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=8192,
        initializer_range=0.2,
        tie_word_embeddings=False,
        bos_token_id=None,
        eos_token_id=257,
        pad_token_id=257,
    )
    return LlamaForCausalLM(config).eval().requires_grad_(False)


def random_rows(splice: RegionSplice, seed: int = 1) -> RegionSplice:
    """The splice with random rows; fresh ones are zero."""
    generator = torch.Generator().manual_seed(seed)
    for rows in (splice.input_rows, splice.output_rows):
        rows.data.normal_(0, 0.2, generator=generator)
    return splice


class PatchEncoder(nn.Module):
    """A `VisionEncoder` of two maps: mean colours of patches, mixed at random into channels."""

    strides = (4.0, 8.0)

    def __init__(self, channels: tuple[int, int], side: int, seed: int) -> None:
        super().__init__()
        self.channels, self.side = channels, side
        torch.manual_seed(seed)
        self.mix = nn.ModuleList(
            nn.Conv2d(3, c, int(s), int(s)) for c, s in zip(channels, self.strides, strict=True)
        )

    def forward(self, images: Sequence[Image.Image]) -> list[FeatureMaps]:
        return [self.one(image) for image in images]

    def one(self, image: Image.Image) -> FeatureMaps:
        pixels = np.asarray(image.convert("RGB").resize((self.side, self.side)), dtype=np.float32) / 64
        batch = torch.from_numpy(pixels).permute(2, 0, 1)[None]
        maps = tuple(mix(batch)[0] for mix in self.mix)
        return FeatureMaps(maps, self.strides, Frame(image.size, (self.side, self.side)))


class StubProposer:
    """Always the same boxes, as fractions of the image."""

    def __init__(self, fractions: Sequence[Sequence[float]]) -> None:
        self.fractions = fractions

    def propose(self, images: Sequence[Image.Image]) -> list[Regions]:
        scores = np.linspace(0.9, 0.1, len(self.fractions))
        return [
            Regions.of([np.array(f) * [*image.size * 2] for f in self.fractions], image.size, scores)
            if len(self.fractions)
            else Regions.empty(image.size)
            for image in images
        ]


class PooledNamer(Namer):
    """Reads chances of its names off the first numbers of the pooled feature."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes = classes

    def forward(self, features: FeatureMaps, boxes: Tensor, pooled: Tensor) -> Tensor:
        return pooled[:, : self.classes].softmax(dim=1)


def plain_evidence(*words: Tensor) -> NameEvidence:
    """Of class names alone, without everyday words for them."""
    return NameEvidence(words, words[0][:0], torch.zeros(0, dtype=torch.long))


BOXES = [
    [0.0, 0.0, 0.5, 0.5],
    [0.5, 0.0, 1.0, 0.5],
    [0.0, 0.5, 0.5, 1.0],
    [0.5, 0.5, 1.0, 1.0],
    [0.25, 0.25, 0.75, 0.75],
    [0.1, 0.6, 0.3, 0.9],
]


def region_model(
    dynamic: bool = True,
    proposer: Proposer | None = None,
    capacity: int = CAPACITY,
    classes: int = 0,
    names: Sequence[str] = (),
) -> RegionModel:
    """Everything random; the pointer's bias is 0, so that scores lie on both sides of ½.

    classes: how many names the encoders know, half of them the detector's; with 0 there is no evidence.
    names: of the lexicon, which needs evidence.
    """
    tokenizer = byte_tokenizer()
    vocabulary = RegionVocabulary.extend(tokenizer, capacity)
    base = llama()
    primary, auxiliary = PatchEncoder((8, 8), 48, seed=2), PatchEncoder((8, 16), 64, seed=3)
    config = FusionConfig(position="concat", position_width=16)
    branches = LevelBranch(primary.channels), LevelBranch(auxiliary.channels, aligned=True)
    width = HybridRegionEncoder.connector_width(config, *(b.out_channels for b in branches), classes)
    torch.manual_seed(4)
    encoder = HybridRegionEncoder(
        *branches,
        Connector(width, 32, WIDTH, dropout=0.3, rms=1.0),
        config,
        auxiliary_namer=PooledNamer(classes) if classes else None,
        evidence=plain_evidence(*embeddings(classes, seed=6).tensor_split(2)) if classes else None,
    )
    torch.manual_seed(1)
    pointer = RegionPointer(WIDTH, rank=16) if dynamic else None
    if pointer is not None:
        pointer.bias.data.zero_()
    chat = ChatFormat(region_slots=not dynamic)
    assert vocabulary.image_slot is not None
    model = RegionModel(
        base,
        PromptBuilder(tokenizer, vocabulary, chat),
        random_rows(RegionSplice(vocabulary, WIDTH, pointer)),
        encoder,
        BlindFamily(base, primary, vocabulary.image_slot, chat),
        auxiliary=auxiliary,
        proposer=StubProposer(BOXES) if proposer is None else proposer,
        primary=primary,
    )
    if names and encoder.evidence is not None:
        words = model.phrase_embeddings(names)
        model.lexicon = Lexicon(names, words, encoder.evidence.affinity(words))
    return model.eval().requires_grad_(False)


def picture(seed: int = 0, size: tuple[int, int] = (80, 60)) -> Image.Image:
    """A random mosaic of 8 × 6 coloured tiles."""
    tiles = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(tiles).resize(size, Image.Resampling.NEAREST)


def read_as(count: int, seed: int) -> Encoded:
    """A picture with that many regions, as `region_model` would read it; random."""
    (maps,) = PatchEncoder((8, 8), 48, seed=2)([picture(0)])
    slot = region_model().prompts.vocabulary.image_slot
    regions = Regions.of(np.zeros((count, 4)), (80, 60))
    nothing = torch.zeros(count, 0)
    return Encoded(
        regions,
        embeddings(count, seed),
        nothing,
        Sight((slot or 0,), maps, None, {}),
        embeddings(1, seed + 100),
    )


def embeddings(count: int, seed: int) -> Tensor:
    """Random region embeddings (count, WIDTH)."""
    return torch.randn(count, WIDTH, generator=torch.Generator().manual_seed(seed))
