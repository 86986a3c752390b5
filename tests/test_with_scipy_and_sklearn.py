"""The transforms in other libraries' hands: SciPy's minimisers and solvers, and scikit-learn's estimators."""

from __future__ import annotations

import numpy as np
import pytest

import autograd_core as ag

optimize = pytest.importorskip("scipy.optimize")
base = pytest.importorskip("sklearn.base")


def rosenbrock(x):
    return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


@pytest.mark.parametrize("method", ["BFGS", "L-BFGS-B", "CG", "SLSQP"])
def test_minimisers_take_value_and_grad_as_one_function(method):
    found = optimize.minimize(ag.value_and_grad(rosenbrock), np.zeros(4), jac=True, method=method, options={"maxiter": 2000})
    np.testing.assert_allclose(found.x, np.ones(4), atol=2e-3)


@pytest.mark.parametrize("second", [{"hess": ag.hessian(rosenbrock)}, {"hessp": ag.hvp(rosenbrock)}], ids=["hessian", "hvp"])
@pytest.mark.parametrize("method", ["trust-ncg", "Newton-CG"])
def test_second_order_minimisers_take_hessian_or_hvp(method, second):
    found = optimize.minimize(rosenbrock, np.zeros(4), jac=ag.grad(rosenbrock), method=method, tol=1e-8, **second)
    np.testing.assert_allclose(found.x, np.ones(4), atol=1e-4)


def test_constraints_take_jacobians():
    def circle(x):
        return np.array([1.0]) - np.sum(x**2)

    constraint = {"type": "eq", "fun": circle, "jac": ag.jacobian(circle)}
    found = optimize.minimize(np.sum, np.array([0.5, 0.1]), jac=ag.grad(np.sum), constraints=constraint, method="SLSQP")
    np.testing.assert_allclose(found.x, [-(0.5**0.5)] * 2, atol=1e-6)


def test_least_squares_and_roots_take_jacobians():
    def residual(x):
        return np.exp(x) - np.array([1.0, 2.0, 3.0])

    found = optimize.least_squares(residual, np.zeros(3), jac=ag.jacobian(residual))
    np.testing.assert_allclose(found.x, np.log([1.0, 2.0, 3.0]), atol=1e-8)
    np.testing.assert_allclose(optimize.root(residual, np.zeros(3), jac=ag.jacobian(residual)).x, np.log([1.0, 2.0, 3.0]), atol=1e-8)
    sparse = optimize.least_squares(residual, np.zeros(3), jac=ag.sparse_jacobian(residual), tr_solver="lsmr")
    np.testing.assert_allclose(sparse.x, np.log([1.0, 2.0, 3.0]), atol=1e-6)


def logistic_loss(w, x, t):
    return np.mean(np.logaddexp(0.0, -t * (x @ w[:-1] + w[-1]))) + 1e-3 * np.sum(w**2)


class LogisticRegression(base.ClassifierMixin, base.BaseEstimator):
    """An estimator as scikit-learn wants it, fitted by a gradient of ours."""

    def __init__(self, tolerance=1e-6):
        self.tolerance = tolerance

    def fit(self, x, y):
        self.classes_ = np.unique(y)
        signs = np.where(y == self.classes_[1], 1.0, -1.0)
        start = np.zeros(x.shape[1] + 1)
        self.weights_ = optimize.minimize(ag.value_and_grad(logistic_loss), start, args=(x, signs), jac=True, tol=self.tolerance).x
        return self

    def decision_function(self, x):
        return x @ self.weights_[:-1] + self.weights_[-1]

    def predict(self, x):
        return self.classes_[(self.decision_function(x) > 0).astype(int)]


def test_an_estimator_fitted_by_our_gradient_works_in_pipelines_searches_and_processes():
    datasets, linear_model = pytest.importorskip("sklearn.datasets"), pytest.importorskip("sklearn.linear_model")
    from sklearn.model_selection import GridSearchCV, cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    x, y = datasets.load_breast_cancer(return_X_y=True)
    model = make_pipeline(StandardScaler(), LogisticRegression())
    ours = cross_val_score(model, x, y, cv=3)
    theirs = cross_val_score(make_pipeline(StandardScaler(), linear_model.LogisticRegression()), x, y, cv=3)
    assert abs(ours.mean() - theirs.mean()) < 0.01
    search = GridSearchCV(LogisticRegression(), {"tolerance": [1e-2, 1e-6]}, cv=2).fit(StandardScaler().fit_transform(x), y)
    assert search.best_score_ > 0.95
    copied = base.clone(LogisticRegression(tolerance=0.5))
    assert copied.tolerance == 0.5
