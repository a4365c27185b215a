"""`export`: a model folder as vLLM reads one, and `Exported`, what such a folder says of its regions.

It is a Hugging Face folder: `config.json` of the base with an architecture of ours, tokenizer, image
processor. Weights are links to the files they come from; parts that are not the base's lie in its `fo1`.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch
from huggingface_hub import snapshot_download
from transformers import (
    AutoConfig,
    AutoModelForImageTextToText,
    AutoTokenizer,
    GenerationConfig,
    PretrainedConfig,
    Qwen2Tokenizer,
)

from fo1.checkpoints.attached import AUXILIARY, ENCODER, SPLICE, base_source, load_processor, make_family
from fo1.checkpoints.attached_config import AttachedConfig
from fo1.checkpoints.compose import region_vocabulary
from fo1.checkpoints.config import kind_of, read_json
from fo1.checkpoints.released_config import EMBEDDING, ReleasedConfig
from fo1.checkpoints.shards import FLOATS, INDEX, Shards
from fo1.errors import CheckpointError
from fo1.loading import model_folder
from fo1.prompts.builder import ChatFormat
from fo1.prompts.vocabulary import TAGS, RegionVocabulary, region_name
from fo1.saving import check_new
from fo1.vllm.prompting import chat_template
from fo1.vlm.family import VLMFamily

KEY, PARTS = "fo1", "fo1"
"""Of our words in `config.json`; the folder of our parts."""

TABLE = EMBEDDING.removeprefix("model.")
"""How the key of the word embeddings ends, in every format."""

SERVE = """\
# vllm serve FOLDER --config FOLDER/serve.yaml
structured-outputs-config: {backend: guidance}
logprobs-mode: processed_logprobs
middleware: [fo1.vllm.box_list.BoxList]
trust-request-mm-kwargs: true  # for bbox_list alone: BoxList lets nothing else through
"""
"""What a server needs to be told, in `serve.yaml`."""

FAMILIES = {
    "qwen2_5_vl": "FO1Qwen2_5_VLForConditionalGeneration",
    "qwen3_vl": "FO1Qwen3VLForConditionalGeneration",
}
"""The architecture for each family of bases that vLLM can run."""


@dataclass(frozen=True)
class Exported:
    """What an exported folder says beside the base's config.

    released: weights have their released names, all in one set of shards. stops: tokens that end an answer.
    own_rows: rows of added tokens lie apart and are appended to the base's tables, which are cut before them.
    """

    config: AttachedConfig
    vocabulary: RegionVocabulary
    chat: ChatFormat
    released: bool
    stops: tuple[int, ...]

    @property
    def own_rows(self) -> range:
        """Ids of added tokens whose rows are not the base's."""
        return self.vocabulary.added

    def to_json(self) -> dict[str, Any]:
        """What `config.json` says below `KEY`."""
        return {**asdict(self), "config": self.config.to_json(), "stops": list(self.stops)}

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> Exported:
        """From what `config.json` says below `KEY`."""
        config = {key: value for key, value in values["config"].items() if key not in ("format", "kind")}
        return cls(
            AttachedConfig.from_json(config),
            RegionVocabulary(**values["vocabulary"]),
            ChatFormat(**values["chat"]),
            values["released"],
            tuple(values["stops"]),
        )

    @classmethod
    def of(cls, config: PretrainedConfig) -> Exported:
        """From the config that vLLM has read. Raises `CheckpointError` for one that was not exported."""
        values = getattr(config, KEY, None)
        if values is None:
            raise CheckpointError(
                "this folder was not made by fo1.vllm.export, so it says nothing of regions"
            )
        return cls.read(values)

    def family(self, base: PretrainedConfig, processor: Any = None) -> VLMFamily:
        """How the base prepares images and where its maps are; it holds shapes, no weights."""
        with torch.device("meta"):
            skeleton = AutoModelForImageTextToText.from_config(base)
        return make_family(self.config, skeleton, processor)


def image_mark(base: Any) -> tuple[int, int, int]:
    """What stands in a prompt for an image and its regions. base: the config."""
    return base.vision_start_token_id, base.image_token_id, base.vision_end_token_id


def export(model: str | Path, target: str | Path) -> Path:
    """Writes an attached or released model as a folder for vLLM: `vllm serve TARGET`.

    model: a folder or a hub id. target: a folder that does not exist, or is empty; it appears when complete.
    Returns the target. Raises `CheckpointError` for a model that vLLM cannot run, saying why.
    """
    source, wanted = model_folder(model), check_new(target)
    kind = kind_of(source)
    if kind == "native":
        raise CheckpointError(f"{source} cannot be exported: its base has no vision tower")
    wanted.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=wanted.parent, prefix=f".{wanted.name}-") as scratch:
        ready = Path(scratch) / "ready"
        (ready / PARTS).mkdir(parents=True)
        (_export_released if kind == "released" else _export_attached)(source, ready)
        if wanted.exists():
            wanted.rmdir()
        ready.rename(wanted)
    return wanted


def is_exported(folder: Path) -> bool:
    """Was it made by `export`?"""
    return (folder / "config.json").is_file() and KEY in read_json(folder / "config.json")


def _export_released(source: Path, target: Path) -> None:
    shards = Shards.of_folder(source)
    config = ReleasedConfig.read(source, {key: stored.shape for key, stored in shards.items()})
    _write(source, target, config.base, config.model, shards, released=True)


def _export_attached(source: Path, target: Path) -> None:
    config = AttachedConfig.read(source)
    if config.vocabulary.kind != "static":
        raise CheckpointError(f"{source} has a dynamic region vocabulary, which vLLM's heads cannot write")
    inside = base_source(config, source)
    base = inside if isinstance(inside, Path) else Path(snapshot_download(inside))
    for name in (ENCODER, AUXILIARY, SPLICE):
        if (source / name).is_file():
            _link(source / name, target / PARTS / name)
    _write(base, target, AutoConfig.from_pretrained(base), config, Shards.of_folder(base), released=False)


def _write(
    base: Path,
    target: Path,
    described: PretrainedConfig,
    config: AttachedConfig,
    shards: Shards,
    released: bool,
) -> None:
    """Everything but our parts. base: the folder that holds the base's weights and its tokenizer."""
    if config.family not in FAMILIES:
        raise CheckpointError(f"vLLM can run {', '.join(FAMILIES)} with regions, not {config.family}")
    kind = Qwen2Tokenizer if released else AutoTokenizer
    processor = load_processor(base, config.pixels, cast(Any, kind))
    vocabulary = region_vocabulary(config, processor.tokenizer, described.get_text_config().vocab_size)
    seen = Exported(config, vocabulary, ChatFormat(), released, ())
    chat = replace(seen.family(described).chat, **config.chat)
    processor.tokenizer.eos_token = chat.stop  # grammars end with it
    mark = processor.tokenizer.convert_ids_to_tokens(list(image_mark(described)))
    processor.tokenizer.chat_template = chat_template(chat, "".join(mark))
    stops = _stops(base, described, cast(int, processor.tokenizer.convert_tokens_to_ids(chat.stop)))
    exported = replace(seen, chat=chat, stops=stops)
    for file in {stored.file for stored in shards.values()}:
        _link(file, target / file.name)
    if (base / INDEX).is_file():
        shutil.copyfile(base / INDEX, target / INDEX)
    processor.image_processor.save_pretrained(target)
    processor.tokenizer.save_pretrained(target)
    _show((*map(region_name, range(vocabulary.capacity)), *TAGS), target)
    dtype = str(next(FLOATS[one.dtype] for key, one in shards.items() if key.endswith(TABLE)))
    _write_config(target, described, exported, dtype.removeprefix("torch."))
    decoding = {"do_sample": True, "top_k": 1, "eos_token_id": list(stops)}  # greedy, as released
    (target / "serve.yaml").write_text(SERVE, encoding="utf-8")
    (target / "generation_config.json").write_text(json.dumps(decoding, indent=2) + "\n", encoding="utf-8")


def _write_config(target: Path, base: PretrainedConfig, exported: Exported, dtype: str) -> None:
    values = base.to_dict()
    own = exported.own_rows
    if own:  # then words are read and written by rows of their own
        changed = {"vocab_size": own.stop, "tie_word_embeddings": False}
        values["text_config"] |= changed
        values |= {key: value for key, value in changed.items() if key in values}
    values |= {"architectures": [FAMILIES[exported.config.family]], "dtype": dtype, KEY: exported.to_json()}
    text = json.dumps(values, indent=2) + "\n"
    (target / "config.json").write_text(text, encoding="utf-8")


def _stops(base: Path, described: PretrainedConfig, turn: int) -> tuple[int, ...]:
    """The turn's own end, and what the base takes for one."""
    stored = (base / "generation_config.json").is_file()
    known = (
        GenerationConfig.from_pretrained(base) if stored else GenerationConfig.from_model_config(described)
    ).eos_token_id
    others = known if isinstance(known, list) else [] if known is None else [known]
    return tuple(dict.fromkeys([turn, *others]))


def _show(words: Iterable[str], folder: Path) -> None:
    """Marks added tokens as words, which servers do not leave out of what they return."""
    shown = set(words)
    path = folder / "tokenizer.json"
    values = read_json(path)
    for token in values["added_tokens"]:
        token["special"] = token["special"] and token["content"] not in shown
    path.write_text(json.dumps(values, ensure_ascii=False), encoding="utf-8")
    path = folder / "tokenizer_config.json"
    values = read_json(path)
    for token in values.get("added_tokens_decoder", {}).values():
        token["special"] = token["special"] and token["content"] not in shown
    for key in ("additional_special_tokens", "extra_special_tokens"):
        if isinstance(values.get(key), list):
            values[key] = [token for token in values[key] if token not in shown]
    path.write_text(json.dumps(values, indent=2, ensure_ascii=False), encoding="utf-8")


def _link(file: Path, target: Path) -> None:
    """The same file again without room of its own: hard links outlive it, but stay on one disk and with one
    owner. A copy where there are no links at all."""
    source = file.resolve()
    try:
        os.link(source, target)
    except OSError:
        try:
            target.symlink_to(source)
        except OSError:
            shutil.copyfile(source, target)
