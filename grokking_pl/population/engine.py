"""Many networks of one architecture trained as one batch, each as ``grok fit`` would train it.

A batch has a fixed number of places. A member whose phase is decided leaves its place to the next that waits, so that
the batch is always full and its step is compiled once. Every place counts its own steps.

Where a batch is the whole training set and every step is evaluated, one forward pass over all samples serves the loss
and both accuracies: the evaluation at n updates is the one before update n + 1.
"""

import copy
import logging
import sys
import time
import types
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from grokking_pl.errors import UserError
from grokking_pl.metrics.crossings import NEVER, PhaseCriteria, decided, least_correct, track_crossings
from grokking_pl.population.adam import adam_coefficients, adam_step, stack_options
from grokking_pl.population.curves import UNSEEN, curve_slots, curve_steps, points_of, record_point
from grokking_pl.population.member import GROUPS, Member, group_of_parameter, initial_parameters, same_samples
from grokking_pl.population.observation import ObservationOptions, Observed, Observer, is_observable
from grokking_pl.population.outcome import Outcome
from grokking_pl.training import GrokkingModule

EVALUATION_ELEMENTS = 2**22
"""Activations of one layer, over samples and members, above which an evaluation is cut into chunks."""


class FastTanh(nn.Module):
    """The hyperbolic tangent to a few roundings, compiled in less time than ``tanh``.

    2 σ(2x) - 1 is fast but loses the digits of small x, which decide what becomes of networks that weight decay has
    made small. There a polynomial takes its place: that of Moshier's Cephes library for single precision, |x| < 0.625.
    """

    def forward(self, inputs: Tensor) -> Tensor:
        """The hyperbolic tangent, whose gradient is that of 2 σ(2x) - 1."""
        fast = 2 * torch.sigmoid(2 * inputs) - 1
        x = inputs.detach()
        z = x * x
        near = 2.06390887954e-2 - 5.70498872745e-3 * z
        near = ((near * z - 5.37397155531e-2) * z + 1.33314422036e-1) * z - 3.33332819422e-1
        exact = torch.where(z < 0.625**2, near * z * x + x, fast.detach())
        return fast + (exact - fast.detach())


class Batch:
    """Members that are trained together.

    Args:
        template: any of the members: all are of its kind.
        places: how many are trained at a time.
        criteria: what decides a member's phase.
        budget: steps within which the thresholds must be reached.
        device: where to train.
        compiled: compile the step; what cannot be compiled is run as it is, and says so.
        shared_samples: whether all members have the same samples, targets and split.
        observe: when to look at the embeddings; None for never.
        keep_curves: whether outcomes tell how the member came there.

    Attributes:
        interval: members come and go only when the steps made are a multiple of it.
        compile_seconds: what compiling took.
    """

    def __init__(
        self,
        template: Member,
        places: int,
        criteria: PhaseCriteria,
        budget: int,
        device: torch.device | str = "cpu",
        compiled: bool = True,
        shared_samples: bool = False,
        observe: ObservationOptions | None = None,
        keep_curves: bool = False,
    ) -> None:
        self.criteria = criteria
        self.budget = budget
        self.device = torch.device(device)
        self.members: list[Member | None] = [None] * places
        self._group_of = group_of_parameter(template.module)
        self._module = _template_module(template.module, compiled, self.device)
        data = template.data
        self._batch_size = min(data.batch_size or data.num_train, data.num_train)
        self._whole = self._batch_size == data.num_train
        self._fused = self._whole and criteria.every_n_steps == 1 and not _is_random(template)
        self._shared = shared_samples
        if self._whole and not shared_samples:
            self._batch_size = len(data.inputs)  # training sets may differ in size: what is no part of one weighs 0
        self._first_data = data
        self._samples: dict[str, Tensor] = {}

        def zeros(*shape: int, dtype: torch.dtype = torch.float32, fill: float = 0) -> Tensor:
            return torch.full((places, *shape), fill, dtype=dtype, device=self.device)

        self.parameters = {name: zeros(*value.shape) for name, value in template.module.named_parameters()}
        self.first = {name: torch.zeros_like(value) for name, value in self.parameters.items()}
        self.second = {name: torch.zeros_like(value) for name, value in self.parameters.items()}
        # An empty place has spent its budget, so that nothing happens there.
        self.tracking = {
            "step": zeros(dtype=torch.int64, fill=budget + 1),
            "needed": zeros(2, dtype=torch.int64),
            "since": zeros(2, dtype=torch.int64, fill=NEVER),
            "reached": zeros(2, dtype=torch.int64, fill=NEVER),
            "final": zeros(2, dtype=torch.int64),
        }
        self._slots: Tensor | None = None
        if keep_curves:
            self._curve_steps = curve_steps(budget, criteria.every_n_steps)
            self._slots = curve_slots(self._curve_steps, budget).to(self.device)
            self.tracking["curve"] = zeros(len(self._curve_steps) + 1, 2, dtype=torch.int32, fill=UNSEEN)
        self._options = torch.zeros(places, 2, 6, dtype=torch.float64, device=self.device)
        self._set_samples(data)
        self._calls = 0
        self.interval = criteria.every_n_steps
        self._observer: Observer | None = None
        self._observed = [Observed() for _ in range(places)]
        if observe and is_observable(template):
            self.interval = observe.interval(criteria.every_n_steps)
            self._observer = Observer(template, observe, self._embeddings, keep_curves)
        self.compile_seconds = 0.0
        self._step: Callable[..., None] = self._fused_step if self._fused else self._update
        self._compiled = compiled
        if compiled:
            logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)  # it looks for CUDA's compiler
            self._step = torch.compile(
                _with_own_code(self._step),
                dynamic=False,
                fullgraph=True,
                # Shapes are fixed, and to check some hundred guards takes as long as the step of a member.
                options={"guard_filter_fn": lambda guards: [False] * len(guards)},
            )

    # Places.

    @property
    def free(self) -> int:
        """How many places are empty."""
        return self.members.count(None)

    def put(self, member: Member, state: dict[str, Any] | None = None) -> None:
        """Give a member an empty place; with ``state``, from `state_of`, it goes on where it was."""
        place = self.members.index(None)
        self.members[place] = member
        self._observed[place] = Observed(**state["observed"]) if state else Observed()
        self._put_samples(place, member)
        given = state or {
            "parameters": initial_parameters(member),
            "first": {},
            "second": {},
            "tracking": {"step": 0, "since": [NEVER] * 2, "reached": [NEVER] * 2, "final": [0] * 2},
        }
        for name in self.parameters:
            self.parameters[name][place] = given["parameters"][name].to(self.device)
            self.first[name][place] = given["first"].get(name, torch.zeros(())).to(self.device)
            self.second[name][place] = given["second"].get(name, torch.zeros(())).to(self.device)
        if self._slots is not None:
            self.tracking["curve"][place] = UNSEEN
        for name, value in given["tracking"].items():
            self.tracking[name][place] = torch.as_tensor(value)
        num_train = member.data.num_train
        thresholds = (self.criteria.train_threshold, self.criteria.val_threshold)
        sizes = (num_train, len(member.data.inputs) - num_train)
        self.tracking["needed"][place] = torch.tensor(
            [least_correct(threshold, size) for threshold, size in zip(thresholds, sizes, strict=True)]
        )
        self._options[place] = stack_options([member.options[name] for name in GROUPS], self.device)
        if not self._whole:
            self._streams[place] = member.indices(int(self.tracking["step"][place]))

    def state_of(self, place: int) -> dict[str, Any]:
        """Everything that `put` needs to go on with the member at ``place``."""
        stacks = {"parameters": self.parameters, "first": self.first, "second": self.second}
        state: dict[str, Any] = {
            key: {name: value[place].cpu().clone() for name, value in stack.items()} for key, stack in stacks.items()
        }
        names = ("step", "since", "reached", "final", "curve")
        tracking = {name: self.tracking[name][place].tolist() for name in names if name in self.tracking}
        return state | {"tracking": tracking, "observed": asdict(self._observed[place])}

    def take_decided(self) -> list[Outcome]:
        """Remove the members whose phase is decided."""
        done = decided(self.tracking["reached"], self.tracking["step"], self.budget).tolist()
        rows = {name: self.tracking[name].tolist() for name in ("reached", "final", "step")}
        outcomes = []
        for place, member in enumerate(self.members):
            if member is None or not done[place]:
                continue
            reached = [None if step == NEVER else step for step in rows["reached"][place]]
            sizes = (member.data.num_train, len(member.data.inputs) - member.data.num_train)
            train, val = (count / max(1, size) for count, size in zip(rows["final"][place], sizes, strict=True))
            both = None not in reached
            steps = max(step for step in reached if step is not None) + self.criteria.window if both else self.budget
            observed = self._observed[place]
            curve: Sequence[tuple[int, float, float]] = ()
            if self._slots is not None:
                counts = self.tracking["curve"][place].tolist()
                curve = points_of(counts, self._curve_steps, sizes, (steps, train, val))
            outcomes.append(Outcome(member.index, reached[0], reached[1], train, val, steps, observed, curve))
            self.members[place] = None
            self.tracking["step"][place] = self.budget + 1
        return outcomes

    @property
    def steps(self) -> list[int | None]:
        """Updates made at each place; None where it is empty."""
        steps = self.tracking["step"].tolist()
        return [None if member is None else step for member, step in zip(self.members, steps, strict=True)]

    # Training.

    def advance(self, steps: int) -> None:
        """Train every member for ``steps`` steps, or until its phase is decided.

        Raises:
            UserError: the architecture does something that cannot be done for many networks at once.
        """
        with torch.no_grad():
            self._look(newcomers=True)
            while steps:
                chunk = min(steps, self.interval - self._calls % self.interval) if self._observer else steps
                self._train(chunk)
                steps -= chunk
                if self._calls % self.interval == 0:
                    self._look()

    def _train(self, steps: int) -> None:
        ahead = torch.arange(1, steps + 1, device=self.device, dtype=torch.float64)
        # (steps, members, groups); the options broadcast over steps
        numbers = (self.tracking["step"] + ahead[:, None])[:, :, None].expand(-1, -1, 2)
        coefficients = adam_coefficients(self._options.expand(steps, -1, -1, -1), numbers).unbind(0)
        if self._calls:
            self._advance(0, steps, coefficients)
            return
        start = time.monotonic()
        try:
            self._advance(0, 1, coefficients)
        except Exception as error:
            if not self._compiled:
                raise self._impossible(error) from error
            print(f"training without torch.compile: {_first_line(error)}", file=sys.stderr, flush=True)
            self._compiled = False
            self._step = self._fused_step if self._fused else self._update
            try:
                self._advance(0, 1, coefficients)
            except Exception as again:
                raise self._impossible(again) from again
        if self._compiled:
            self.compile_seconds = time.monotonic() - start
        self._advance(1, steps, coefficients)

    def _impossible(self, error: Exception) -> UserError:
        architecture = type(self._module.module.network).__name__
        return UserError(f"{architecture} cannot be trained as a batch, only by grok fit: {_first_line(error)}")

    def _look(self, newcomers: bool = False) -> None:
        """Observe the embeddings of all members that are not decided, or of newcomers alone."""
        if self._observer is None:
            return
        done = decided(self.tracking["reached"], self.tracking["step"], self.budget).tolist()
        looks = [
            (place, member, step, done[place])
            for place, (member, step) in enumerate(zip(self.members, self.tracking["step"].tolist(), strict=True))
            if member is not None
            and step <= self.budget
            and not self._observed[place].closed
            and not (newcomers and self._observed[place].looked)
        ]
        if looks:
            self._observer.look(self.parameters, looks, self._observed)

    def _advance(self, start: int, stop: int, coefficients: tuple[Tensor, ...]) -> None:
        state = (self.parameters, self.first, self.second)
        if self._fused:
            for number in range(start, stop):
                self._step(*state, self.tracking, self._samples, coefficients[number])
                self._calls += 1
            return
        every, rest = self.criteria.every_n_steps, self.budget % self.criteria.every_n_steps
        batches = self._batches(stop - start)
        for number in range(start, stop):
            if self._calls % every == 0 or self._calls % every == rest:
                self._evaluate()
            chosen, weights = (each[number - start] for each in batches)
            self._step(*state, self._samples, chosen, weights, coefficients[number])
            self.tracking["step"] += 1
            self._calls += 1

    def _fused_step(
        self,
        parameters: dict[str, Tensor],
        first: dict[str, Tensor],
        second: dict[str, Tensor],
        tracking: dict[str, Tensor],
        samples: dict[str, Tensor],
        coefficients: Float[Tensor, "members 2 7"],
    ) -> None:
        """Evaluate the networks and update them."""

        def loss(parameters: dict[str, Tensor], samples: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
            outputs, predicted = self._outputs(parameters, samples, samples["inputs"])
            correct = predicted == samples["labels"]
            is_train = samples["weights"] > 0
            counts = torch.stack([(correct & is_train).sum(), (correct & ~is_train).sum()])
            return self._loss(parameters, outputs, samples["targets"], samples["weights"]), counts

        gradients, correct = vmap(grad(loss, has_aux=True), in_dims=(0, self._samples_dims))(parameters, samples)
        self._track(tracking, correct, torch.ones_like(tracking["step"], dtype=torch.bool))
        self._apply(parameters, gradients, first, second, coefficients)
        tracking["step"].add_(1)

    def _update(
        self,
        parameters: dict[str, Tensor],
        first: dict[str, Tensor],
        second: dict[str, Tensor],
        samples: dict[str, Tensor],
        chosen: Int[Tensor, "members batch"],
        weights: Float[Tensor, "members batch"],
        coefficients: Float[Tensor, "members 2 7"],
    ) -> None:
        """Update the networks on the chosen samples."""

        def loss(parameters: dict[str, Tensor], samples: dict[str, Tensor], chosen: Tensor, weights: Tensor) -> Tensor:
            outputs, _ = self._outputs(parameters, samples, samples["inputs"][chosen])
            return self._loss(parameters, outputs, samples["targets"][chosen], weights)

        each = vmap(grad(loss), in_dims=(0, self._samples_dims, 0, 0), randomness="different")
        gradients = each(parameters, samples, chosen, weights)
        self._apply(parameters, gradients, first, second, coefficients)

    def _apply(
        self,
        parameters: dict[str, Tensor],
        gradients: dict[str, Tensor],
        first: dict[str, Tensor],
        second: dict[str, Tensor],
        coefficients: Float[Tensor, "members 2 7"],
    ) -> None:
        for name, parameter in parameters.items():
            group = coefficients[:, GROUPS.index(self._group_of[name])]
            adam_step(parameter, gradients[name], first[name], second[name], group)

    def _outputs(
        self, parameters: dict[str, Tensor], samples: dict[str, Tensor], inputs: Shaped[Tensor, "batch ..."]
    ) -> tuple[Float[Tensor, "batch outputs"], Int[Tensor, " batch"]]:
        state = {f"module.{name}": value for name, value in parameters.items()}
        if "class_targets" in samples:
            state["module.class_targets"] = samples["class_targets"]
        # The other kernels of attention know no members; for a few tokens this one is the fastest anyway.
        with sdpa_kernel(SDPBackend.MATH):
            return functional_call(self._module, state, (inputs,))

    def _loss(
        self,
        parameters: dict[str, Tensor],
        outputs: Float[Tensor, "batch outputs"],
        targets: Shaped[Tensor, "batch ..."],
        weights: Float[Tensor, " batch"],
    ) -> Float[Tensor, ""]:
        if self._module.module.loss == "mse":
            losses = (outputs - targets).square().mean(-1)
        else:
            losses = F.cross_entropy(outputs, targets, reduction="none")
        loss = (losses * weights).sum()
        if hasattr(self._module.module.network, "penalty"):
            state = {f"module.{name}": value for name, value in parameters.items()}
            loss = loss + functional_call(self._module, state, (outputs, "penalty"))
        return loss

    # Evaluating.

    def _embeddings(self, parameters: dict[str, Tensor]) -> Float[Tensor, "members p d"]:
        def of_one(parameters: dict[str, Tensor]) -> Tensor:
            state = {f"module.{name}": value for name, value in parameters.items()}
            return functional_call(self._module, state, (None, "embeddings"))

        return vmap(of_one)(parameters)

    def _evaluate(self) -> None:
        """Count the correct samples of every network, in chunks, and take in which thresholds they passed."""
        self._module.eval()
        samples = len(self._first_data.inputs)
        widest = max(value.shape[1] for value in self.parameters.values())
        chunk = max(256, EVALUATION_ELEMENTS // (widest * len(self.members)))
        dims = self._samples_dims

        def count(parameters: dict[str, Tensor], part: dict[str, Tensor], whole: dict[str, Tensor]) -> Tensor:
            _, predicted = self._outputs(parameters, whole, part["inputs"])
            correct = predicted == part["labels"]
            is_train = part["weights"] > 0
            return torch.stack([(correct & is_train).sum(), (correct & ~is_train).sum()])

        correct = torch.zeros_like(self.tracking["final"])
        for start in range(0, samples, chunk):
            part = {
                name: self._samples[name].narrow(0 if dims is None else 1, start, min(chunk, samples - start))
                for name in ("inputs", "labels", "weights")
            }
            correct += vmap(count, in_dims=(0, dims, dims))(self.parameters, part, self._samples)
        step = self.tracking["step"]
        self._track(self.tracking, correct, (step % self.criteria.every_n_steps == 0) | (step == self.budget))
        self._module.train()

    def _track(self, tracking: dict[str, Tensor], correct: Tensor, counts: Tensor) -> None:
        if self._slots is not None:
            running = counts & ~decided(tracking["reached"], tracking["step"], self.budget)
            record_point(tracking["curve"], self._slots, correct, tracking["step"], running)
        track_crossings(
            correct,
            tracking["needed"],
            tracking["step"],
            tracking["since"],
            tracking["reached"],
            tracking["final"],
            counts,
            self.budget,
            self.criteria.window,
        )

    # Samples.

    @property
    def _samples_dims(self) -> int | None:
        return None if self._shared else 0

    def _set_samples(self, data: Any) -> None:
        """Make room for the samples: once for all members, or a place each."""
        self._streams: dict[int, Any] = {}
        found = self._samples_of(data)
        if self._shared:
            self._samples = found
        else:
            places = len(self.members)
            self._samples = {name: value.expand(places, *value.shape).clone() for name, value in found.items()}

    def _put_samples(self, place: int, member: Member) -> None:
        if self._shared:
            assert same_samples(self._first_data, member.data), "the samples differ"
            return
        for name, value in self._samples_of(member.data).items():
            self._samples[name][place] = value

    def _samples_of(self, data: Any) -> dict[str, Tensor]:
        weights = torch.zeros(len(data.inputs))
        weights[: data.num_train] = 1 / data.num_train
        samples = {"inputs": data.inputs, "targets": data.targets, "weights": weights}
        if data.class_targets is None:
            samples["labels"] = data.targets
        else:
            samples["class_targets"] = data.class_targets
            samples["labels"] = functional_call(
                self._module, {"module.class_targets": data.class_targets}, (data.targets, "class")
            )
        return {name: value.to(self.device) for name, value in samples.items()}

    def _batches(self, steps: int) -> tuple[Int[Tensor, "steps members batch"], Float[Tensor, "steps members batch"]]:
        """The samples of the next batches of every member, and their weights in the loss."""
        places = len(self.members)
        chosen = torch.zeros(steps, places, self._batch_size, dtype=torch.int64)
        weights = torch.zeros(steps, places, self._batch_size)
        for place, member in enumerate(self.members):
            if member is None:
                continue
            if self._whole:
                size = member.data.num_train
                chosen[:, place, :size] = torch.arange(size)
                weights[:, place, :size] = 1 / size
                continue
            for number in range(steps):
                batch = next(self._streams[place])
                size = len(batch)
                chosen[number, place, :size] = batch
                weights[number, place, :size] = 1 / size
        return chosen.to(self.device), weights.to(self.device)


class _Scored(nn.Module):
    """What a population asks of a module."""

    def __init__(self, module: GrokkingModule) -> None:
        super().__init__()
        self.module = module

    def forward(self, values: Any, what: str = "outputs") -> Any:
        """Outputs and predictions for inputs, the class of targets, the penalty, or the embeddings."""
        if what == "penalty":
            return self.module.network.penalty()  # type: ignore[operator]
        if what == "embeddings":
            return self.module.network.embeddings
        if what == "class":
            return self.module.true_class(values)
        outputs = self.module(values)
        return outputs, self.module.predict_class(outputs.detach())


def _template_module(module: GrokkingModule, compiled: bool, device: torch.device) -> _Scored:
    """A copy of the module for its computation alone; the weights of the members are put in when it is called."""
    template = copy.deepcopy(module).to(device).train()
    template._compiling = False
    if compiled and device.type == "cpu":
        for parent in list(template.modules()):
            for name, child in parent.named_children():
                if isinstance(child, nn.Tanh):
                    setattr(parent, name, FastTanh())
    return _Scored(template)


def _is_random(member: Member) -> bool:
    """Whether training mode computes anything else than evaluation does, as dropout makes it."""
    module = copy.deepcopy(member.module)
    inputs = member.data.inputs[:256]
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        return not torch.equal(module.train()(inputs), module.eval()(inputs))


def _first_line(error: Exception) -> str:
    text = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _with_own_code(method: Any) -> Callable[..., None]:
    """A copy of a method. Compiled graphs are kept by code, and without guards one batch would get another's."""
    function = method.__func__
    copied = types.FunctionType(function.__code__.replace(), function.__globals__, function.__name__)
    return types.MethodType(copied, method.__self__)
