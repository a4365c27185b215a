"""Fits a `Gallery` to encoded scenes: linear discriminant analysis, and a few examples of every name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from fo1.model import RegionModel
from fo1.regions.encoder import HybridRegionEncoder, RegionFeatures
from fo1.regions.gallery import Gallery
from fo1.training.smol.records import SceneRecord

CLEAR = 0.6  # IoU from which a region shows a thing
SHRINKAGE = 0.1  # of the covariance, in mean variances: what few pictures say of thin directions is noise
SEEN_OFTEN = 8  # pictures of a name per example of it
ROUNDS = 12  # of k-means
CHUNK = 4096


@dataclass(frozen=True, eq=False)
class Things:
    """What records show. features: (T, channels) of each thing's best region. name, half: (T,)."""

    features: Tensor
    name: Tensor
    half: Tensor

    @classmethod
    @torch.no_grad()
    def of(cls, records: Sequence[SceneRecord], encoder: HybridRegionEncoder, names: Sequence[str]) -> Things:
        """Things of `names` that some region shows clearly. Raises `ValueError` if there is none."""
        number = {name: i for i, name in enumerate(names)}
        features, told, halves = [], [], []
        for record in records:
            shown = list(_clear(record, number))
            rows = torch.tensor([row for row, _ in shown], dtype=torch.long)
            features.append(encoder.hybrid(record.features.take(rows).float()))
            told += [name for _, name in shown]
            halves += [record.half] * len(shown)
        if not told:
            raise ValueError("no scene shows a thing of a known name")
        return cls(torch.cat(features), torch.tensor(told), torch.tensor(halves))


def _clear(record: SceneRecord, number: dict[str, int]) -> Iterator[tuple[int, int]]:
    """(region, number of its name) of things that some region shows clearly."""
    for column, name in enumerate(record.names if record.count else ()):
        best, row = record.overlap[:, column].max(dim=0)
        if best >= CLEAR and name in number:
            yield int(row), number[name]


@torch.no_grad()
def fit(gallery: Gallery, things: Things) -> None:
    """Sets the space and the examples of a gallery; holds the channels' covariance, and its eigenvectors."""
    means = _means(things, gallery.names)
    seen = torch.bincount(things.name, minlength=gallery.names).float()
    centre = things.features.mean(dim=0)
    within = torch.zeros(len(centre), len(centre))
    for start in range(0, len(things.name), CHUNK):
        rows = slice(start, start + CHUNK)
        apart = things.features[rows] - means[things.name[rows]]
        within += apart.T @ apart
    within /= len(things.name)
    spread, directions = torch.linalg.eigh(within)
    whiten = directions / (spread + SHRINKAGE * spread.mean()).sqrt()
    between = (seen.sqrt()[:, None] * (means - centre)) @ whiten
    _, _, axes = torch.linalg.svd(between, full_matrices=False)
    gallery.centre.copy_(centre)
    gallery.basis.copy_(whiten @ axes[: gallery.width].T)
    gallery.examples.copy_(_examples(gallery, things))


@torch.no_grad()
def of_half(gallery: Gallery, things: Things, half: int) -> Gallery:
    """A gallery in the same space, with examples from one half of the scenes."""
    names, most, width = gallery.examples.shape
    other = Gallery(len(gallery.centre), names, width, most)
    other.load_state_dict(gallery.state_dict())
    rows = things.half == half
    some = Things(*(getattr(things, part.name)[rows] for part in fields(things)))
    other.examples.copy_(_examples(gallery, some))
    return other


class Halves:
    """Each scene is met with a gallery of the other half of the scenes, as new pictures will be.

    A gallery knows the pictures that it was made of; a model that trained on those would trust it too much.
    """

    def __init__(self, encoder: HybridRegionEncoder, galleries: Sequence[Gallery]) -> None:
        self._encoder, self._galleries = encoder, tuple(galleries)

    def __call__(self, record: SceneRecord) -> SceneRecord:
        """The record with what the gallery of the other half recalls of it."""
        features: RegionFeatures = record.features.float()
        with torch.no_grad():
            recalled = self._galleries[1 - record.half](self._encoder.hybrid(features))
        return replace(record, features=replace(features, recalled=recalled))


def filled(model: RegionModel, records: Sequence[SceneRecord]) -> Halves | None:
    """Fits the model's gallery, if it has one; returns what stands for it in training."""
    encoder, lexicon = model.encoder, model.lexicon
    if encoder.gallery is None or lexicon is None:
        return None
    things = Things.of(records, encoder, lexicon.names[: encoder.gallery.names])
    fit(encoder.gallery, things)
    return Halves(encoder, [of_half(encoder.gallery, things, half) for half in (0, 1)])


def _means(things: Things, names: int) -> Tensor:
    """(V, channels), zeros for a name that is not seen."""
    seen = torch.bincount(things.name, minlength=names).clamp(min=1)
    total = torch.zeros(names, things.features.shape[1]).index_add_(0, things.name, things.features)
    return total / seen[:, None]


def _examples(gallery: Gallery, things: Things) -> Tensor:
    """(V, K, width): the centres of K-means among each name's things, by cosine."""
    found = torch.zeros_like(gallery.examples)
    placed = gallery.project(things.features)
    generator = torch.Generator().manual_seed(0)
    for name in things.name.unique().tolist():
        own = placed[things.name == name]
        count = min(found.shape[1], max(1, len(own) // SEEN_OFTEN))
        centres = own[torch.randperm(len(own), generator=generator)[:count]]
        for _ in range(ROUNDS):
            member = F.one_hot((own @ centres.T).argmax(dim=1), count).float()
            moved = F.normalize(member.T @ own, dim=1)
            centres = torch.where(member.any(dim=0)[:, None], moved, centres)
        found[name, :count] = centres
    return found
