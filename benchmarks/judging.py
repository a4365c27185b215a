"""How well `fo1 judge` finds wrong labels: photos with hand-made boxes, some called what is not on the photo.

python benchmarks/judging.py --pictures 26 --wrong 0.2 --out judging-run
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
from pathlib import Path
from typing import Any

PHOTOS = Path(__file__).parents[1] / "photos"


def corrupted(pictures: int, wrong: float, seed: int) -> tuple[dict[str, Any], dict[int, str | None]]:
    """A COCO data set, and the true label of each annotation whose label is wrong; None where it is right."""
    photos = json.loads((PHOTOS / "annotations.json").read_text())[:pictures]
    names = sorted({thing["label"] for photo in photos for thing in photo["objects"]})
    things = [(number, thing) for number, photo in enumerate(photos, start=1) for thing in photo["objects"]]
    rng = random.Random(seed)
    chosen = set(rng.sample(range(len(things)), round(wrong * len(things))))
    annotations, truth = [], {}
    for number, (image, thing) in enumerate(things):
        label, (x1, y1, x2, y2) = thing["label"], thing["box"]
        truth[number] = label if number in chosen else None
        if number in chosen:
            present = {one["label"] for one in photos[image - 1]["objects"]}
            label = rng.choice([name for name in names if name not in present | set(thing["also"])])
        box = [x1, y1, x2 - x1, y2 - y1]
        annotations.append({"id": number, "image_id": image, "category_id": names.index(label), "bbox": box})
    images = [
        {"id": n, "file_name": p["image"], "width": p["size"][0], "height": p["size"][1]}
        for n, p in enumerate(photos, start=1)
    ]
    categories = [{"id": number, "name": name} for number, name in enumerate(names)]
    return {"images": images, "annotations": annotations, "categories": categories}, truth


def measured(out: Path, data: dict[str, Any], truth: dict[int, str | None]) -> dict[str, float]:
    """What the filtered file says of right and wrong labels."""
    names = {category["id"]: category["name"] for category in data["categories"]}
    before = {row["id"]: names[row["category_id"]] for row in data["annotations"]}
    filtered = json.loads((out / "filtered" / "photos.json").read_text())
    after = {row["id"]: names[row["category_id"]] for row in filtered["annotations"]}
    wrong = [number for number, label in truth.items() if label is not None]
    right = [number for number, label in truth.items() if label is None]
    doubted = [number for number in truth if after.get(number) != before[number]]
    renamed = [number for number in doubted if number in after]
    caught = len(set(doubted) & set(wrong))
    return {
        "boxes": len(truth),
        "wrong labels": len(wrong),
        "doubted": len(doubted),
        "precision of doubts": caught / max(len(doubted), 1),
        "wrong labels found": caught / max(len(wrong), 1),
        "right labels kept": sum(after.get(n) == before[n] for n in right) / max(len(right), 1),
        "purity before": len(right) / len(truth),
        "purity after": sum(after[n] == (truth[n] or before[n]) for n in after) / max(len(after), 1),
        "renamed": len(renamed),
        "renamed rightly": sum(after[n] == (truth[n] or before[n]) for n in renamed) / max(len(renamed), 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pictures", type=int, default=26)
    parser.add_argument("--wrong", type=float, default=0.2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    args, options = parser.parse_known_args()
    data, truth = corrupted(args.pictures, args.wrong, args.seed)
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / "photos.json"
    path.write_text(json.dumps(data))
    command = [
        "fo1",
        "judge",
        str(path),
        "--images",
        str(PHOTOS),
        "--out",
        str(args.out / "judged"),
        *options,
    ]
    subprocess.run(command, check=True)
    for name, value in measured(args.out / "judged", data, truth).items():
        print(f"{name:22}{value:.3f}" if isinstance(value, float) else f"{name:22}{value}")


if __name__ == "__main__":
    main()
