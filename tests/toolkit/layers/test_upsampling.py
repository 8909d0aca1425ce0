"""Twice the size: what torch's bilinear interpolation gives, without its slow path on a GPU."""

import pytest
import torch
from torch.nn import functional

from synthbench.toolkit.layers.upsampling import upsample2x, upsample2x_by_shifts


@pytest.mark.parametrize("shape", [(2, 3, 5, 7), (1, 1, 1, 4), (1, 2, 1, 1)])
@pytest.mark.parametrize("enlarge", [upsample2x, upsample2x_by_shifts])
def test_it_is_bilinear_interpolation(enlarge, shape):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    expected = functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
    torch.testing.assert_close(enlarge(x), expected, atol=1e-6, rtol=0)


def test_the_gradient_and_its_gradient_are_those_of_a_linear_map():
    x = torch.randn(1, 2, 3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(upsample2x_by_shifts, x)
    assert torch.autograd.gradgradcheck(upsample2x_by_shifts, x)


def test_the_type_stays():
    assert upsample2x_by_shifts(torch.zeros(1, 1, 2, 2, dtype=torch.bfloat16)).dtype == torch.bfloat16


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_on_a_gpu_it_is_the_same_and_deterministic():
    x = torch.randn(2, 8, 33, 20)
    torch.testing.assert_close(upsample2x(x.cuda()).cpu(), upsample2x(x), atol=1e-6, rtol=0)
