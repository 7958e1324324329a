"""`python -m pointsman_local.models.train FOLDER`: train the versions of the digits model that the demo rolls out.

Each version is a folder with `weights.npz` (a linear classifier, 64 pixels to 10 digits) and `meta.json`. The data
are the UCI hand-written digits that come with scikit-learn. `images.json` holds the images that were kept back
from training, to ask with.
"""

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

__all__ = ["VERSIONS", "Version", "train"]

SEED = 7
BRIGHTEST = 16
"""Of a pixel, in the data and in what is asked."""


@dataclass(frozen=True, slots=True)
class Version:
    """One version: how many images it learns from, and what is wrong with the way it is served."""

    name: str
    samples: int
    slower_ms: float = 0.0
    failing_percent: float = 0.0


VERSIONS = (
    Version("v1", samples=120),
    Version("v2", samples=1200),
    Version("v3", samples=1200, slower_ms=60.0),
    Version("v4", samples=1200, failing_percent=4.0),
    Version("v5", samples=1390),
)


def train(folder: Path) -> None:
    """Write every version, and the images kept back, below `folder`."""
    import numpy as np
    from sklearn.datasets import load_digits
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import train_test_split

    pixels, digits = load_digits(return_X_y=True)
    pixels /= BRIGHTEST  # the solver takes ten times as many steps over unscaled pixels
    learn, kept, learn_digits, kept_digits = train_test_split(pixels, digits, test_size=400, random_state=SEED)
    for version in VERSIONS:
        model = LogisticRegression(max_iter=300).fit(learn[: version.samples], learn_digits[: version.samples])
        target = folder / version.name
        target.mkdir(parents=True, exist_ok=True)
        weights = (model.coef_.T / BRIGHTEST).astype("float32")
        np.savez(target / "weights.npz", weights=weights, bias=model.intercept_.astype("float32"))
        meta = {**asdict(version), "accuracy": round(float(model.score(kept, kept_digits)), 4)}
        (target / "meta.json").write_text(json.dumps(meta))
    images = [[round(pixel * BRIGHTEST) for pixel in image] for image in kept]
    (folder / "images.json").write_text(json.dumps({"images": images, "digits": [int(digit) for digit in kept_digits]}))


if __name__ == "__main__":
    train(Path(sys.argv[1]))
