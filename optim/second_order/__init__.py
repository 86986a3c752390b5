"""Newton's method and its relatives, without ever forming a Hessian: products with it come from differentiating twice."""

from optim.second_order.conjugate_gradients import conjugate_gradients
from optim.second_order.gauss_newton import GaussNewton, LevenbergMarquardt
from optim.second_order.kfac import KFAC
from optim.second_order.newton import NewtonCG
from optim.second_order.products import Vector, gauss_newton_product, hessian_product

__all__ = ["KFAC", "GaussNewton", "LevenbergMarquardt", "NewtonCG", "Vector", "conjugate_gradients", "gauss_newton_product", "hessian_product"]
