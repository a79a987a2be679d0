"""What must be true of every file in configs/model and configs/tricks: adding one enrols it here."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_module

from lit_gans import Sampler
from lit_gans.configs import build
from lit_gans.configs.arguments import options, summary
from lit_gans.configs.check import Config, checked, find, target_of
from lit_gans.configs.errors import Refusal
from lit_gans.configs.signatures import options_of
from lit_gans.optim import build_optimizer

FOLDER = Path(__file__).parents[2] / "configs"
MODELS, TRICKS, DATA = (sorted(options(group, [FOLDER])) for group in ("model", "tricks", "data"))
OTHERS = [(group, name) for group in ("experiment", "debug", "trainer") for name in sorted(options(group, [FOLDER]))]
SMALL: dict[str, Any] = {"width": 4, "latent_dim": 8, "generator_hidden": [8], "discriminator_hidden": [8]}
SMALL |= {"generator_width": 8, "discriminator_width": 8}


@pytest.fixture(autouse=True)
def _groups() -> Iterator[None]:
    with initialize_config_module("lit_gans.configs", version_base="1.3"):
        yield


def configured(*overrides: str, small: bool = False) -> Config:
    tuned = any(override.startswith(("experiment", "debug")) for override in overrides)
    cfg = compose("train", [*overrides, *([] if tuned else ["experiment/tuned=none"])])
    if small:
        cfg.model.update({key: value for key, value in SMALL.items() if key in cfg.model})
    if small and "image_size" in cfg.data:
        cfg.data.image_size = 16
    return checked(cfg)


def plain(value: Any) -> bool:
    if isinstance(value, dict):
        return all(isinstance(key, str) and plain(below) for key, below in value.items())
    if isinstance(value, list):
        return all(plain(item) for item in value)
    return value is None or type(value) in (int, float, str, bool)


@pytest.mark.parametrize("name", MODELS)
def test_a_model_is_built_from_its_defaults_and_knows_them_again(name: str) -> None:
    config = configured(f"model={name}", small=True)
    model = build.model(config)
    assert isinstance(model, Sampler)
    assert plain(dict(model.hparams))
    given = {key: value for key, value in config["model"].items() if key != "_target_"}
    assert dict(model.hparams) == given
    assert model.seed == config["seed"]


@pytest.mark.parametrize("name", MODELS)
def test_a_model_file_lists_every_option(name: str) -> None:
    config = configured(f"model={name}")["model"]
    assert config.keys() - {"_target_"} == options_of(find(config["_target_"])).annotations.keys()


@pytest.mark.parametrize("name", MODELS)
def test_a_model_refuses_an_option_that_it_has_not(name: str) -> None:
    with pytest.raises(Refusal, match=r"^model\.no_such is not an option of \w+\. Possible: .*latent_dim"):
        configured(f"model={name}", "+model.no_such=1")


@pytest.mark.parametrize("name", TRICKS)
def test_a_trick_file_lists_its_own_options_with_the_defaults_of_the_class(name: str) -> None:
    trick = configured("model=dcgan", f"tricks=[{name}]")["tricks"][name]
    cls = target_of(f"tricks.{name}", trick)
    own = dict(cls.__init__.__kwdefaults__ or {}) if "__init__" in vars(cls) else {}
    assert {key: value for key, value in trick.items() if key != "_target_"} == own


@pytest.mark.parametrize("name", TRICKS)
def test_a_trick_refuses_an_option_that_it_has_not(name: str) -> None:
    with pytest.raises(Refusal, match=rf"^tricks\.{name}\.no_such is not an option of"):
        configured(f"tricks=[{name}]", f"+tricks.{name}.no_such=1")


@pytest.mark.parametrize("model", MODELS)
def test_a_trick_goes_with_a_model_or_is_refused_with_a_reason(model: str) -> None:
    whole = configured(f"model={model}", f"tricks=[{','.join(TRICKS)}]", small=True)  # composing takes its time: once
    refusals = []
    for trick in TRICKS:
        config = {**whole, "tricks": {trick: whole["tricks"][trick]}}
        try:
            made = build.model(config)
        except ValueError as error:
            refusals.append(str(error))
            continue
        cls = target_of("", config["tricks"][trick])
        assert made.recipe()["tricks"] == [f"{cls.__module__}:{cls.__qualname__}"]
        options = {key: value for key, value in config["tricks"][trick].items() if key != "_target_"}
        assert dict(made.hparams).items() >= options.items()
    assert [refusal for refusal in refusals if len(refusal.split()) <= 5] == []


@pytest.mark.parametrize("name", DATA)
def test_data_files_list_every_option(name: str) -> None:
    config = configured(f"data={name}", "model=mlp_gan")["data"]
    assert config.keys() - {"_target_"} == options_of(find(config["_target_"])).annotations.keys()


@pytest.mark.parametrize(("group", "name"), OTHERS)
def test_every_other_option_composes_and_is_checked(group: str, name: str) -> None:
    config = configured(f"{group}={name}")
    assert config["trainer"]["max_steps"] >= 1
    for player in build.model(config).players():
        assert build_optimizer(player.optimizer, [p for net in player.networks for p in net.parameters()])


@pytest.mark.parametrize("group", ["model", "tricks", "data"])
def test_every_option_says_in_one_line_what_it_is(group: str) -> None:
    for path in options(group, [FOLDER]).values():
        assert 10 < len(summary(path)) < 110, path


def test_settings_tuned_for_a_pair_name_one_that_there_is() -> None:
    pairs = {f"{model}_{data}" for model in MODELS for data in DATA}
    tuned = options("experiment/tuned", [FOLDER]).keys() - {"none"}
    assert tuned
    assert tuned <= pairs


@pytest.mark.parametrize("callbacks", ["default", "none", "checkpoints"])
@pytest.mark.parametrize("name", sorted(options("experiment/tuned", [FOLDER])))
def test_settings_tuned_for_a_pair_go_with_any_callbacks(name: str, callbacks: str) -> None:
    pair = next((f"model={m}", f"data={d}") for m in MODELS for d in DATA if name in (f"{m}_{d}", "none"))
    config = checked(compose("train", [*pair, f"callbacks={callbacks}"]))
    assert all("_target_" in node for node in config["callbacks"].values())
    assert isinstance(build.model(config), Sampler)


def test_a_setting_for_a_callback_that_there_is_not_is_refused() -> None:
    with pytest.raises(Refusal, match=r"^callbacks\.emma must name a class, as in callbacks\.emma\._target_="):
        configured("+callbacks.emma.half_life=3")


def test_tuned_settings_apply_to_their_pair_alone() -> None:
    def steps(*overrides: str) -> int:
        return int(checked(compose("train", list(overrides)))["trainer"]["max_steps"])

    paper = steps("experiment/tuned=none")
    assert steps("model=mlp_gan", "data=rings") != paper
    assert steps("model=mlp_gan", "data=dirac") == paper
    assert steps("model=mlp_gan", "data=rings", "experiment/tuned=none") == paper
