"""Teacher and student: regression on the outputs of a random one-hidden-layer network."""

import math
from collections.abc import Callable
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from grokking_pl.data.datamodule import TensorDataModule, require_positive
from grokking_pl.errors import UserError
from grokking_pl.sizes import Sizes

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "identity": torch.nn.Identity(),
    "relu": torch.relu,
    "tanh": torch.tanh,
    "quadratic": torch.square,
}


class TeacherStudent(TensorDataModule):
    """Standard normal inputs with the outputs of a teacher: y = V act(W x) + noise, centred and of unit variance.

    The teacher's weights are normal with variance 1 / inputs. The loss is the mean squared error. Accuracies are the
    fraction of samples whose output has the sign of the target or, with several outputs, whose largest output is the
    target's.

    Args:
        inputs: dimension of x.
        outputs: dimension of y.
        teacher_width: units in the teacher's hidden layer.
        teacher_activation: the teacher's nonlinearity; "identity" for a linear teacher, "quadratic" for the square.
        noise: standard deviation of the noise on the training targets, relative to their own of 1.
        train_samples: number of training samples.
        val_samples: number of validation samples.
        teacher_seed: seed of the teacher; null for the seed of the samples.
        batch_size: samples per training batch; null for the full training set.
        steps_per_epoch: training steps per Lightning epoch.
        seed: seed of the samples, the noise and the batch order; null for the run's seed.

    Raises:
        UserError: a number is not positive, or the noise is negative.
    """

    def __init__(
        self,
        inputs: int = 20,
        outputs: int = 1,
        teacher_width: int = 1,
        teacher_activation: Literal["identity", "relu", "tanh", "quadratic"] = "tanh",
        noise: float = 0.0,
        train_samples: int = 200,
        val_samples: int = 1000,
        teacher_seed: int | None = None,
        batch_size: int | None = None,
        steps_per_epoch: int = 1000,
        seed: int | None = None,
    ) -> None:
        super().__init__(batch_size, steps_per_epoch, seed)
        require_positive(train_samples=train_samples, val_samples=val_samples)
        require_positive(inputs=inputs, outputs=outputs, teacher_width=teacher_width)
        if not 0 <= noise < float("inf"):
            raise UserError(f"noise is {noise}; it must be a number of at least 0")
        if teacher_activation not in ACTIVATIONS:
            raise UserError(f"teacher_activation is {teacher_activation}; it must be one of {', '.join(ACTIVATIONS)}")
        self.dimensions = (inputs, teacher_width, outputs)
        self.teacher_activation = teacher_activation
        self.noise = noise
        self.train_samples = train_samples
        self.val_samples = val_samples
        self.teacher_seed = teacher_seed

    def load(self) -> None:
        """Draw the teacher and the samples, the training samples first."""
        inputs, width, outputs = self.dimensions
        teacher = torch.Generator().manual_seed(self.seed if self.teacher_seed is None else self.teacher_seed)
        self.first = torch.randn(inputs, width, generator=teacher) / math.sqrt(inputs)
        self.second = torch.randn(width, outputs, generator=teacher) / math.sqrt(width)
        # A separate stream from the teacher's, so that inputs do not repeat its weights.
        generator = torch.Generator().manual_seed(self.seed + 2**32)
        self.num_train = self.train_samples
        self.inputs = torch.randn(self.train_samples + self.val_samples, inputs, generator=generator)
        answers = self.teach(self.inputs)
        # Over all samples: the scale is the teacher's, not that of a few training samples.
        self.targets = (answers - answers.mean(0)) / answers.std(0, correction=0).clamp_min(1e-12)
        self.targets[: self.num_train] += self.noise * torch.randn(self.num_train, outputs, generator=generator)
        self.sizes = Sizes(inputs=inputs, outputs=outputs)
        self.class_targets = torch.tensor([[-1.0], [1.0]]) if outputs == 1 else torch.eye(outputs)

    def teach(self, inputs: Float[Tensor, "samples inputs"]) -> Float[Tensor, "samples outputs"]:
        """The teacher's outputs, before scaling."""
        hidden = ACTIVATIONS[self.teacher_activation](inputs @ self.first)
        return hidden @ self.second
