"""What every family must do, as checks on a tiny random base that a `Case` makes.

`test_families.py` runs the checks on every family's cases.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tokenizers import AddedToken
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from fo1.encoders.feature_maps import FeatureMaps
from fo1.errors import ImageError
from fo1.vlm.family import Sight, VLMFamily
from tiny import byte_tokenizer, picture

SIZES = [(168, 126), (90, 200), (64, 64)]
"""Image sizes (width, height) for tests."""


@dataclass(frozen=True)
class Processor:
    """The two parts of a Hugging Face processor that families use; the real ones may need torchvision."""

    image_processor: Any
    tokenizer: Any


@dataclass(frozen=True)
class Case:
    """One family on a tiny random base.

    build: makes base and family afresh, always with the same weights, in eval mode, without gradients.
    reference: the base's own keyword arguments (`pixel_values` and the like, without `input_ids` and
        `attention_mask`) for padded prompts `ids` and the images in them, made without the family.
    still: silences the tower's attention (zeroes its output projections), so that a patch sees only itself.
    pads: map cells may lie beyond the image, because the tower's input is padded.
    smear: further pixels of the tower's input by which a painted edge may seem to lie elsewhere: the image is
        resampled twice, or cells lie a little off their place because a tile is no multiple of the patch.
    """

    name: str
    build: Callable[[], VLMFamily]
    reference: Callable[[VLMFamily, Tensor, Sequence[Image.Image]], dict[str, Any]]
    still: Callable[[VLMFamily], None]
    pads: bool = False
    smear: float = 0.0

    def __str__(self) -> str:
        return self.name


def tokenizer(*special: str) -> PreTrainedTokenizerFast:
    """One token per byte, ChatML's turns, and a family's own special tokens: ids from 258 on."""
    made = byte_tokenizer()
    made.add_tokens([AddedToken(word, special=True) for word in special])
    return made


def prompt(family: VLMFamily, sights: Sequence[Sight], text: str = "What is it?") -> list[int]:
    """One user turn with images and a question."""

    def ids(words: str) -> list[int]:
        return family.processor.tokenizer(words, add_special_tokens=False).input_ids

    chat = family.chat
    images = [i for sight in sights for i in (*sight.ids, *ids(chat.after_image))]
    return ids(chat.before_image) + images + ids(text) + ids(chat.after_question)


def padded(rows: Sequence[Sequence[int]], left: bool = False) -> tuple[Tensor, Tensor]:
    """Ids and attention mask of several prompts; the padding is token 0, a byte."""
    longest = max(map(len, rows))
    ids = torch.zeros(len(rows), longest, dtype=torch.long)
    mask = torch.zeros(len(rows), longest, dtype=torch.long)
    for row, given in enumerate(rows):
        where = slice(longest - len(given), longest) if left else slice(0, len(given))
        ids[row, where], mask[row, where] = torch.tensor(given), 1
    return ids, mask


def logits(family: VLMFamily, rows: Sequence[Sequence[int]], sights: Sequence[Sight]) -> Tensor:
    """Logits (B, T, V) through the family's `inputs`, right-padded."""
    ids, mask = padded(rows)
    return family.base(input_ids=ids, attention_mask=mask, **family.inputs(ids, sights)).logits


def answers(
    family: VLMFamily, rows: Sequence[Sequence[int]], sights: Sequence[Sight], beams: int = 1
) -> list[list[int]]:
    """Six generated ids for each row, left-padded."""
    ids, mask = padded(rows, left=True)
    given = family.inputs(ids, sights)
    made = family.base.generate(
        input_ids=ids,
        attention_mask=mask,
        do_sample=False,
        num_beams=beams,
        max_new_tokens=6,
        min_new_tokens=6,
        pad_token_id=0,
        **given,
    )
    return made[:, ids.shape[1] :].tolist()


def hooks(family: VLMFamily) -> int:
    """How many hooks there are on the base."""
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in family.base.modules())


@torch.no_grad()
def check_maps(case: Case) -> None:
    """Maps are as wide and as fine as the family says, and cover the image."""
    family = case.build()
    for size in SIZES:
        (sight,) = family.see([picture(size=size)])
        maps = sight.maps
        assert maps.channels == family.channels and maps.strides == family.strides
        assert maps.frame.image_size == size
        for level, stride in zip(maps.maps, maps.strides, strict=True):
            covered = (level.shape[2] * stride, level.shape[1] * stride)
            if case.pads:
                assert all(c >= i - 1e-6 for c, i in zip(covered, maps.frame.input_size, strict=True))
            else:
                assert covered == maps.frame.input_size


@torch.no_grad()
def check_own_logits(case: Case) -> None:
    """With one image and with none the logits are the base's own, bit for bit; with two, up to rounding."""
    family = case.build()
    images = [picture(seed, size) for seed, size in enumerate(SIZES[:2])]
    for count in (1, 0, 2):
        sights = family.see(images[:count])
        ids, mask = padded([prompt(family, sights)])
        own = family.base(
            input_ids=ids,
            attention_mask=mask,
            **(case.reference(family, ids, images[:count]) if count else {}),
        ).logits
        ours = logits(family, [prompt(family, sights)], sights)
        if count < 2:
            assert torch.equal(ours, own)
        else:
            torch.testing.assert_close(ours, own, atol=5e-5, rtol=0)
    other = family.see([picture(7, images[0].size)])
    sights = family.see(images[:1])
    assert not torch.equal(
        logits(family, [prompt(family, other)], other), logits(family, [prompt(family, sights)], sights)
    )


@torch.no_grad()
def check_batches(case: Case, beams: int) -> None:
    """Rows of different images, two images and none: left-padded generation equals the single runs."""
    family = case.build()
    first, second, third = family.see([picture(seed, size) for seed, size in enumerate(SIZES)])
    rows = [[first], [], [second, third], [third], []]
    texts = ["What is it?", "And now, without any image, a longer question?", "Both?", "Hm?", "No?"]
    prompts = [prompt(family, sights, text) for sights, text in zip(rows, texts, strict=True)]
    together = answers(family, prompts, [sight for row in rows for sight in row], beams)
    alone = [answers(family, [p], row, beams)[0] for p, row in zip(prompts, rows, strict=True)]
    assert together == alone
    assert len(set(map(tuple, alone))) > 1
    assert answers(family, prompts, [sight for row in rows for sight in row], beams) == together


@torch.no_grad()
def check_prefill(case: Case) -> None:
    """Right-padded rows, with and without images, equal the single runs."""
    family = case.build()
    first, second = family.see([picture(seed, size) for seed, size in enumerate(SIZES[:2])])
    rows = [[first], [], [second]]
    prompts = [prompt(family, sights, "x" * 5 * i) for i, sights in enumerate(rows)]
    together = logits(family, prompts, [first, second])
    for row, (ids, sights) in enumerate(zip(prompts, rows, strict=True)):
        torch.testing.assert_close(
            together[row, : len(ids)], logits(family, [ids], sights)[0], atol=1e-4, rtol=0
        )


@torch.no_grad()
def check_nothing_leaks(case: Case) -> None:
    """A text prompt and the tokens added to it step by step do not depend on an image seen before."""
    used, fresh = case.build(), case.build()
    sights = used.see([picture(size=SIZES[1])])
    logits(used, [prompt(used, sights)], sights)
    answers(used, [prompt(used, sights)], sights)
    text = prompt(fresh, [])
    stepped = []
    for family in (used, fresh):
        ids, mask = padded([text])
        start = family.base(input_ids=ids, attention_mask=mask, use_cache=True, **family.inputs(ids, []))
        step = family.base(input_ids=torch.tensor([[5]]), past_key_values=start.past_key_values)
        stepped.append(step.logits)
    assert torch.equal(*stepped)
    assert answers(used, [text], []) == answers(fresh, [text], [])


@torch.no_grad()
def check_same_again(case: Case) -> None:
    """Seeing twice, and in company, gives the same; the image and the base are left as they were."""
    family = case.build()
    image, other = picture(1, SIZES[0]), picture(2, SIZES[1])
    before, weights = np.asarray(image).copy(), {k: v.clone() for k, v in family.base.state_dict().items()}
    (one,), (_, two) = family.see([image]), family.see([other, image])
    assert one.ids == two.ids and one.maps.frame == two.maps.frame
    assert all(torch.equal(a, b) for a, b in zip(one.maps.maps, two.maps.maps, strict=True))
    assert one.inputs.keys() == two.inputs.keys()
    assert all(torch.equal(one.inputs[key], two.inputs[key]) for key in one.inputs)
    assert np.array_equal(np.asarray(image), before)
    assert all(torch.equal(value, weights[key]) for key, value in family.base.state_dict().items())
    assert family.see([]) == []


@torch.no_grad()
def check_hooks(case: Case) -> None:
    """No hook stays behind, not even when the tower fails."""
    family = case.build()
    # transformers hooks some towers at the first look, to collect their states, and keeps those hooks.
    family.see([picture()])
    before = hooks(family)
    family.see([picture()])
    assert hooks(family) == before

    class Failure(Exception):
        pass

    def fail(*_: Any) -> None:
        raise Failure

    last = [m for m in family.base.get_image_features.__self__.modules() if isinstance(m, torch.nn.LayerNorm)]
    modules = last or list(family.base.modules())[3:4]
    handles = [m.register_forward_pre_hook(fail) for m in modules]
    with pytest.raises(Failure):
        family.see([picture()])
    for handle in handles:
        handle.remove()
    assert hooks(family) == before


@torch.no_grad()
def check_odd_sizes(case: Case) -> None:
    """One pixel, and a very long image: either seen in full, or refused with the remedy."""
    family = case.build()
    for size in [(1, 1), (600, 8), (8, 600), (3, 50)]:
        try:
            (sight,) = family.see([picture(size=size)])
        except ImageError as error:
            assert f"{size[0]}×{size[1]}" in str(error)
        else:
            assert sight.maps.frame.image_size == size
            assert all(level.isfinite().all() for level in sight.maps.maps)
            assert logits(family, [prompt(family, [sight])], [sight]).isfinite().all()


@torch.no_grad()
def check_corner(case: Case, size: tuple[int, int], corner: tuple[int, int]) -> None:
    """With attention silenced, painting a corner changes the cells in that corner, all of them, no others.

    corner: (0 left or 1 right, 0 top or 1 bottom).
    """
    family = case.build()
    case.still(family)
    image = picture(3, size)
    # A third of the width and of the height.
    left, top = (c * (side - side // 3) for c, side in zip(corner, size, strict=True))
    box = (left, top, left + size[0] // 3, top + size[1] // 3)
    painted = image.copy()
    painted.paste(Image.eval(image.crop(box), lambda value: 255 - value), box)
    (before,), (after,) = family.see([image]), family.see([painted])
    for level in range(len(before.maps.maps)):
        changed = (before.maps.maps[level] - after.maps.maps[level]).abs().amax(dim=0) > 1e-5
        outside, inside = cells(before.maps, level, box, case.smear)
        assert outside.any() and inside.any()
        assert not (changed & outside).any(), f"level {level}: cells outside the corner changed"
        assert changed[inside].all(), f"level {level}: cells in the corner did not change"


def cells(
    maps: FeatureMaps, level: int, box: tuple[int, int, int, int], further: float = 0.0
) -> tuple[Tensor, Tensor]:
    """Which cells (H, W) of a map surely lie outside, and which inside, a box in original pixels.

    Resampling smears the box's edge by two pixels, of the image or of the tower's input, and `further` ones.
    """
    rows, columns = maps.maps[level].shape[1:]
    axes = []
    for axis, count in ((0, columns), (1, rows)):
        scale = maps.frame.scale[axis]
        smear = 2 * max(scale, 1.0) + 0.5 + further
        offset = maps.frame.offset[axis]
        low, high = box[axis] * scale + offset, box[axis + 2] * scale + offset
        starts = torch.arange(count) * maps.strides[level]
        ends = starts + maps.strides[level]
        edge_low, edge_high = box[axis] > 0, box[axis + 2] < maps.frame.image_size[axis]
        out = (ends <= low - smear) | (starts >= high + smear)
        within_low = starts >= low + smear if edge_low else starts >= low
        within_high = ends <= high - smear if edge_high else ends <= high
        axes.append((out, within_low & within_high))
    (out_x, in_x), (out_y, in_y) = axes
    return out_y[:, None] | out_x[None], in_y[:, None] & in_x[None]


CORNERS = [(0, 0), (1, 0), (0, 1), (1, 1)]
