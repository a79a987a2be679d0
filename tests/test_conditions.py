"""Whether a model is conditional is known before there is a batch."""

from lit_gans.conditions import is_conditional
from lit_gans.models import DCGAN, MLPGAN
from tests.conftest import TINY


def test_conditional_models_are_known() -> None:
    assert is_conditional(DCGAN(**TINY, num_classes=10))
    assert not is_conditional(DCGAN(**TINY))
    assert not is_conditional(MLPGAN())
