import torch

from grokking_pl.population.adam import adam_coefficients, adam_step, as_row
from grokking_pl.training import GroupOptions, build_optimizer


def test_each_member_is_updated_as_by_torch():
    options = [
        GroupOptions(lr=1e-3, weight_decay=0.0),
        GroupOptions(lr=1e-2, weight_decay=5.0),
        GroupOptions(lr=1e-4, weight_decay=0.3, decoupled=False, betas=(0.8, 0.98), eps=1e-3),
    ]
    torch.manual_seed(0)
    weights = torch.randn(3, 4, 5)
    singles = [torch.nn.Parameter(weight.clone()) for weight in weights]
    optimizers = [
        build_optimizer({"decoder": [p]}, {"decoder": o}, fused=False) for p, o in zip(singles, options, strict=True)
    ]
    first, second = torch.zeros_like(weights), torch.zeros_like(weights)
    stacked = torch.tensor([as_row(group) for group in options], dtype=torch.float64)
    for step in range(1, 200):
        gradients = torch.randn(3, 4, 5) * 10.0 ** torch.randint(-6, 2, (3, 1, 1))
        for single, optimizer, gradient in zip(singles, optimizers, gradients, strict=True):
            single.grad = gradient.clone()
            optimizer.step()
        coefficients = adam_coefficients(stacked, torch.full((3,), step, dtype=torch.float64)).float()
        adam_step(weights, gradients, first, second, coefficients)
    for member, single in zip(weights, singles, strict=True):
        torch.testing.assert_close(member, single.detach(), rtol=1e-5, atol=1e-6)
