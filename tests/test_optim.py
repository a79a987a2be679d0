"""Optimizers and learning-rate schedules made from plain dictionaries."""

import copy
from math import cos, pi

import pytest
import torch

from lit_gans.optim import OPTIMIZERS, SCHEDULES, AdamRoot, build_optimizer, build_schedule


def parameter():
    return torch.ones(3, requires_grad=True)


# Optimizers


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("adam", torch.optim.Adam),
        ("adam_root", AdamRoot),
        ("adamw", torch.optim.AdamW),
        ("rmsprop", torch.optim.RMSprop),
        ("sgd", torch.optim.SGD),
    ],
)
@pytest.mark.parametrize("fused", [False, True])
def test_optimizer_by_name(name, expected, fused):
    moved = parameter()
    optimizer = build_optimizer({"name": name, "lr": 0.25}, [moved], fused=fused)
    assert type(optimizer) is expected
    assert [group["lr"] for group in optimizer.param_groups] == [0.25]
    assert optimizer.param_groups[0]["params"][0] is moved
    assert bool(optimizer.param_groups[0].get("fused")) == (fused and name != "rmsprop")
    assert set(OPTIMIZERS) == {"adam", "adam_root", "adamw", "rmsprop", "sgd"}


@pytest.mark.parametrize("betas", [[0.5, 0.9], (0.5, 0.9)])
def test_options_reach_torch(betas):
    """Lists, which is all that a configuration file has, become tuples."""
    options = {"name": "adam", "lr": 2e-4, "betas": betas, "eps": 1e-7, "weight_decay": 0.1}
    group = build_optimizer(options, [parameter()]).param_groups[0]
    assert group["betas"] == (0.5, 0.9)
    assert isinstance(group["betas"], tuple)
    assert (group["lr"], group["eps"], group["weight_decay"]) == (2e-4, 1e-7, 0.1)
    assert options == {"name": "adam", "lr": 2e-4, "betas": betas, "eps": 1e-7, "weight_decay": 0.1}


@pytest.mark.parametrize("fused", [False, True])
def test_adam_steps_as_the_paper(fused):
    """Two steps of arXiv 1412.6980, algorithm 1, by hand."""
    moved = parameter()
    optimizer = build_optimizer({"name": "adam", "lr": 0.1, "betas": [0.5, 0.9]}, [moved], fused=fused)
    weight, m, v = 1.0, 0.0, 0.0
    for t, gradient in enumerate([2.0, -0.5], start=1):
        moved.grad = torch.full((3,), gradient)
        optimizer.step()
        m, v = 0.5 * m + 0.5 * gradient, 0.9 * v + 0.1 * gradient**2
        weight -= 0.1 * (m / (1 - 0.5**t)) / ((v / (1 - 0.9**t)) ** 0.5 + 1e-8)
    assert moved.tolist() == pytest.approx([weight] * 3, rel=1e-6)


@pytest.mark.parametrize("fused", [False, True])
def test_adam_root_has_its_eps_under_the_root(fused):
    """Three steps by hand, the first without a gradient for one of two parameters, resumed before the third."""
    weights, m, v, t = [1.0, 1.0], [0.0, 0.0], [0.0, 0.0], [0, 0]
    options = {"name": "adam_root", "lr": 0.1, "betas": [0.5, 0.9], "eps": 0.3}
    moved = [torch.ones(3, dtype=torch.double, requires_grad=True) for _ in weights]
    optimizer = build_optimizer(options, moved, fused=fused)
    for gradients in ([2.0, None], [-0.5, 0.0], [0.1, 0.4]):
        if gradients[1] == 0.4:
            state = copy.deepcopy(optimizer.state_dict())
            optimizer = build_optimizer({**options, "eps": 7.0}, moved, fused=fused)
            optimizer.load_state_dict(state)
        for i, gradient in enumerate(gradients):
            moved[i].grad = None
            if gradient is not None:
                moved[i].grad = torch.full((3,), gradient, dtype=torch.double)
                t[i] += 1
                m[i], v[i] = 0.5 * m[i] + 0.5 * gradient, 0.9 * v[i] + 0.1 * gradient**2
                weights[i] -= 0.1 * (m[i] / (1 - 0.5 ** t[i])) / (v[i] / (1 - 0.9 ** t[i]) + 0.3) ** 0.5
        optimizer.step()
        assert [one.tolist() for one in moved] == [pytest.approx([weight] * 3, rel=1e-6) for weight in weights]


@pytest.mark.parametrize("options", [{"eps": -1e-8}, {"betas": [0.5, 0.0]}, {"weight_decay": 0.1}])
def test_what_adam_root_does_not_take(options):
    with pytest.raises(ValueError, match=r"eps must be at least 0|no option 'weight_decay'"):
        build_optimizer({"name": "adam_root", **options}, [parameter()])


@pytest.mark.parametrize("own", [{"foreach": True}, {"differentiable": True}, {"fused": False}])
def test_an_implementation_asked_for_is_not_overruled(own):
    group = build_optimizer({"name": "adam", "lr": 0.1, **own}, [parameter()], fused=True).param_groups[0]
    assert {key: group[key] for key in own} == own
    assert not group["fused"]


def test_misspelt_optimizer():
    with pytest.raises(
        ValueError, match=r"no optimizer called 'adma'\. Did you mean 'adam'\? Possible: adam, adam_root,"
    ):
        build_optimizer({"name": "adma"}, [parameter()])


def test_optimizer_without_a_name():
    with pytest.raises(ValueError, match=r"no optimizer called None\. Possible: adam, adam_root, adamw, rmsprop, sgd"):
        build_optimizer({"lr": 1e-3}, [parameter()])


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"lr": "fast"}, "'lr': 'fast'"),
        ({"betas": 0.5}, r"'betas': 0\.5"),
        ({"betas": [0.5]}, r"'betas': \(0\.5,\)"),
        ({"foreach": True, "fused": True}, "cannot be `True` together"),
    ],
)
def test_options_that_torch_refuses(options, reason):
    with pytest.raises(ValueError, match=f"'adam' does not accept these options: .*{reason}"):
        build_optimizer({"name": "adam", **options}, [parameter()], fused=True)


@pytest.mark.parametrize(("name", "option"), [("adam", "learning_rate"), ("sgd", "betas")])
def test_an_option_of_another_optimizer(name, option):
    """Such as betas, where a model's own optimizer is exchanged and only its name is given."""
    sentence = rf"^The optimizer '{name}' has no option '{option}': leave it out, or set it to null\.$"
    with pytest.raises(ValueError, match=sentence):
        build_optimizer({"name": name, option: [0.5, 0.9]}, [parameter()])


def test_values_that_torch_refuses():
    with pytest.raises(ValueError, match="Invalid learning rate: -1"):
        build_optimizer({"name": "adam", "lr": -1}, [parameter()])


# Schedules

SGD = {"name": "sgd", "lr": 0.5, "momentum": 0.5}


def rates(options, updates, max_updates=8):
    """The learning rate of each update, beginning with the first."""
    optimizer = build_optimizer(SGD, [parameter()])
    schedule = build_schedule(options, optimizer, max_updates)
    seen = []
    for _ in range(updates):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return seen


FORMULAS = [
    ({"name": "constant"}, lambda k: 1.0),
    ({"name": "linear"}, lambda k: max(0.0, 1 - k / 8)),
    ({"name": "linear", "updates": 4}, lambda k: max(0.0, 1 - k / 4)),
    ({"name": "linear", "updates": None}, lambda k: max(0.0, 1 - k / 8)),
    ({"name": "cosine"}, lambda k: (1 + cos(pi * min(k, 8) / 8)) / 2),
    ({"name": "cosine", "updates": 4}, lambda k: (1 + cos(pi * min(k, 4) / 4)) / 2),
    ({"name": "step", "every": 3, "factor": 0.1}, lambda k: 0.1 ** (k // 3)),
    ({"name": "step", "every": 5}, lambda k: 0.5 ** (k // 5)),
    ({"name": "exponential", "factor": 0.9}, lambda k: 0.9**k),
    ({"name": "exponential"}, lambda k: 0.999**k),
    ({"name": "momentum", "every": 3, "factor": 0.9}, lambda k: 0.9 ** (k // 3)),
    ({"name": "momentum"}, lambda k: 1.0),
]


@pytest.mark.parametrize(("options", "share"), FORMULAS)
def test_rate_after_each_update(options, share):
    """Beyond the end too: what has come down to 0 stays there."""
    assert rates(options, 13) == pytest.approx([0.5 * share(k) for k in range(13)], rel=1e-12, abs=1e-15)


def test_every_schedule_has_a_formula_here():
    assert {options["name"] for options, _ in FORMULAS} == set(SCHEDULES)


def test_step_comes_after_a_thousand_updates_by_default():
    seen = rates({"name": "step"}, 2001)
    assert (seen[999], seen[1000], seen[1999], seen[2000]) == (0.5, 0.25, 0.25, 0.125)


@pytest.mark.parametrize(("options", "share"), FORMULAS)
def test_resumed_schedule_goes_on(options, share):
    optimizer = build_optimizer(SGD, [parameter()])
    schedule = build_schedule(options, optimizer, 8)
    for _ in range(3):
        optimizer.step()
        schedule.step()
    resumed = build_optimizer(SGD, [parameter()])
    again = build_schedule(options, resumed, 8)
    resumed.load_state_dict(optimizer.state_dict())
    again.load_state_dict(schedule.state_dict())
    resumed.step()
    again.step()
    assert resumed.param_groups[0]["lr"] == pytest.approx(0.5 * share(4), rel=1e-12, abs=1e-15)


def test_momentum_grows_to_its_most_and_goes_on_when_resumed():
    """min(0.5 + 0.08 e, 0.7), e the number of threes of updates done: of the step that comes next."""
    options = {"name": "momentum", "every": 3, "growth": 0.08}
    expected = [min(0.5 + 0.08 * (update // 3), 0.7) for update in range(13)]

    def start():
        optimizer = build_optimizer(SGD, [parameter()])
        return optimizer, build_schedule(options, optimizer, 8)

    (optimizer, schedule), seen = start(), []
    for update in range(13):
        if update == 7:
            (resumed, again), before = start(), (optimizer.state_dict(), schedule.state_dict())
            resumed.load_state_dict(before[0])
            again.load_state_dict(before[1])
            optimizer, schedule = resumed, again
        seen.append(optimizer.param_groups[0]["momentum"])
        optimizer.step()
        schedule.step()
    assert seen == pytest.approx(expected, rel=1e-12)
    assert expected[-1] == 0.7


def test_momentum_grows_by_default_as_the_authors_let_it():
    optimizer = build_optimizer(SGD, [parameter()])
    schedule = build_schedule({"name": "momentum"}, optimizer, 8)
    for _ in range(1000):
        optimizer.step()
        schedule.step()
    assert optimizer.param_groups[0]["momentum"] == pytest.approx(0.5008, rel=1e-12)
    assert (schedule.most, schedule.growth) == (0.7, 0.0008)


@pytest.mark.parametrize(
    ("options", "found"), [({"name": "adam", "lr": 0.5}, "0.0"), ({**SGD, "momentum": 0.9}, "0.9")]
)
def test_momentum_that_cannot_grow_is_refused(options, found):
    optimizer = build_optimizer(options, [parameter()])
    with pytest.raises(
        ValueError, match=f"needs sgd with a momentum above 0 and at most its `most`, 0.7; .* is {found}"
    ):
        build_schedule({"name": "momentum"}, optimizer, 8)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"name": "cosin"},
            r"no learning-rate schedule called 'cosin'\. Did you mean 'cosine'\? Possible: constant, lin",
        ),
        ({}, "no learning-rate schedule called None"),
        ({"name": "step", "evry": 5}, r"no option of the schedule 'step' called 'evry'\. Did you mean 'every'\?"),
        ({"name": "linear", "factor": 0.5}, "no option of the schedule 'linear' called 'factor'. Possible: updates"),
        ({"name": "constant", "factor": 0.5}, "no option of the schedule 'constant' called 'factor'. Possible: none"),
        ({"name": "step", "every": 0}, "every of the schedule 'step' must be a number above 0, got 0"),
        ({"name": "step", "factor": -0.5}, r"factor of the schedule 'step' must be a number above 0, got -0\.5"),
        ({"name": "exponential", "factor": "half"}, "must be a number above 0, got 'half'"),
        ({"name": "cosine", "updates": 0}, "updates of the schedule 'cosine' must be a number above 0, got 0"),
    ],
)
def test_refused_schedules(options, message):
    with pytest.raises(ValueError, match=message):
        rates(options, 1)


@pytest.mark.parametrize("name", ["linear", "cosine"])
def test_a_run_without_an_end_needs_a_length(name):
    message = f"schedule '{name}' must know its length: set its `updates` or trainer.max_steps"
    with pytest.raises(ValueError, match=message):
        rates({"name": name}, 1, max_updates=-1)
    assert rates({"name": name, "updates": 2}, 3, max_updates=-1) == pytest.approx([0.5, 0.25, 0.0], abs=1e-15)


def test_another_optimizer_in_the_place_of_a_models_own() -> None:
    weight = torch.nn.Parameter(torch.zeros(2))
    made = build_optimizer({"name": "sgd", "lr": 0.1, "betas": None, "momentum": 0.5}, [weight])
    assert isinstance(made, torch.optim.SGD)
    assert made.defaults["momentum"] == 0.5
