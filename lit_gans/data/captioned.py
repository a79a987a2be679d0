"""A person's own images with captions."""

from typing import Any

from typing_extensions import override

from lit_gans.data.captions import Captions
from lit_gans.data.folder import Folder
from lit_gans.data.layout import listed
from lit_gans.data.metadata import read_captions
from lit_gans.data.samples import Samples
from lit_gans.data.sources import Source


class Captioned(Folder):
    """The images of :class:`lit_gans.data.Folder` that a ``metadata.jsonl`` or ``.csv`` beside them has captions of.

    See :func:`lit_gans.data.metadata.read_captions`.

    Args:
        split: the rows whose column ``split`` says so; None for all.
        test_split: those of the test set; None for none.
        on_uncaptioned: ``refuse`` images without a caption, or ``skip`` them.
        kinds: which images fit each other's captions: those that share one, ``captions``, or those of a class,
            ``classes``, as in StackGAN's paper.
        rest: options of :class:`lit_gans.data.Folder`.

    Raises:
        ValueError: if an option is out of its range, or captions or images cannot be read.
        FileNotFoundError: if there are no images, or no captions.
    """

    def __init__(
        self,
        *,
        split: str | None = None,
        test_split: str | None = None,
        on_uncaptioned: str = "refuse",
        kinds: str = "captions",
        **rest: Any,
    ) -> None:
        super().__init__(**rest)
        if on_uncaptioned not in ("refuse", "skip"):
            raise ValueError(f"data.on_uncaptioned must be refuse or skip, got {on_uncaptioned!r}.")
        if kinds not in ("captions", "classes"):
            raise ValueError(f"data.kinds must be captions or classes, got {kinds!r}.")
        self.split, self.test_split, self.on_uncaptioned, self.kinds = split, test_split, on_uncaptioned, kinds

    @override
    def select(self, source: Source, names: list[str]) -> list[str]:
        known = read_captions(source, self.split)
        bare = [name for name in names if not known.get(name) and (self.split is None or name in known)]
        if bare and self.on_uncaptioned == "refuse":
            raise ValueError(
                f"{len(bare):,} of the {len(names):,} images in {source.path} have no caption: {listed(bare)}. Write "
                "some, or leave these images out with data.on_uncaptioned=skip."
            )
        self.texts = {name: known[name] for name in names if known.get(name)}
        if not self.texts:
            raise ValueError(f"No image in {source.path} has a caption.")
        return list(self.texts)

    @override
    def load(self) -> Samples:
        samples = super().load()
        if self.kinds == "classes" and (samples.labels is None or int(samples.labels.min()) < 0):
            raise ValueError("data.kinds=classes needs a class for every image: a folder of each, or data.labels.")
        kinds = samples.labels if self.kinds == "classes" else None
        samples.captions = Captions([self.texts[name] for name in self.names], kinds)
        return samples

    @override
    def load_test(self) -> Samples | None:
        if self.test_split is None:
            return super().load_test()
        size: dict[str, Any] = {"image_size": self.image_size, "image_channels": self.image_channels}
        how: dict[str, Any] = {"on_corrupt": self.on_corrupt, "on_uncaptioned": self.on_uncaptioned}
        return Captioned(path=self.path, split=self.test_split, **size, **how).load()

    @override
    def describe(self) -> str:
        captions = self.train_dataset.captions
        assert captions is not None
        kinds = len(set(captions.kinds.tolist()))
        what = "classes of images" if self.kinds == "classes" else "kinds of images that share none"
        return f"{super().describe()}\n{len(captions.texts):,} captions; {kinds:,} {what}."
