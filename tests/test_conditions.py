"""Whether a model is conditional is known before there is a batch."""

import pytest

from lit_gans.conditions import check_unconditional, is_conditional
from lit_gans.models import DCGAN, LAPGAN, MLPGAN
from tests.conftest import TINY


def test_conditional_models_are_known() -> None:
    assert is_conditional(DCGAN(**TINY, num_classes=10))
    assert not is_conditional(DCGAN(**TINY))
    assert not is_conditional(MLPGAN())


def test_a_refusal_says_why_and_what_to_do() -> None:
    check_unconditional(MLPGAN(), "never said")
    with pytest.raises(ValueError, match=r"^one has none: set model\.num_classes=0, or leave it out\.$"):
        check_unconditional(DCGAN(**TINY, num_classes=10), "one has none")


def test_what_is_conditional_without_classes_is_left_out() -> None:
    model = LAPGAN(image_size=16, image_channels=1, width=4)
    level = model.named("level0")
    with pytest.raises(ValueError, match=r"^one has none: leave it out\.$"):
        check_unconditional(level, "one has none")
