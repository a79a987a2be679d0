import importlib.util
import io

import numpy as np
import pytest
from PIL import Image

from lit_gans.callbacks.tensorboard import TensorBoardRun

MISSING = not any(map(importlib.util.find_spec, ("tensorboard", "tensorboardX")))


@pytest.mark.skipif(not MISSING, reason="TensorBoard is installed")
def test_without_tensorboard_a_sentence_says_what_to_install(tmp_path):
    with pytest.raises(ModuleNotFoundError, match="Neither `tensorboard` nor `tensorboardX` is available"):
        TensorBoardRun(str(tmp_path))


@pytest.mark.skipif(importlib.util.find_spec("tensorboard") is None, reason="TensorBoard is not installed")
def test_numbers_and_pictures_come_back_with_their_step(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (9, 12), dtype=np.uint8))
    logger = TensorBoardRun(str(tmp_path))
    logger.log_metrics({"loss/generator": 0.5}, step=5)
    logger.log_image(key="samples", images=[picture], step=5)
    logger.finalize("success")
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    (scalar,), (image,) = events.Scalars("loss/generator"), events.Images("samples")
    assert (scalar.step, scalar.value) == (5, 0.5)
    assert image.step == 5
    pixels = np.asarray(Image.open(io.BytesIO(image.encoded_image_string)).convert("L"))
    assert np.array_equal(pixels, np.asarray(picture))
