"""The workloads as users of JAX write them: whole functions under `jax.jit`, compiled before the first round.

Each entry takes the workload's own numbers, so that its gradients can be compared with the others'.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tools.bench import convolution_workloads, engine_workloads, network_workloads, second_order_workloads

__all__ = ["STEPS"]


def _jax() -> Any:
    import jax

    jax.config.update("jax_enable_x64", True)
    return jax


def _gradients(loss: Callable[..., Any], arrays: Any) -> Callable[[], Any]:
    """A step that returns the gradients of `loss` in all `arrays`."""
    jax = _jax()
    gradient = jax.jit(jax.grad(lambda values: loss(*values)))
    values = [jax.numpy.asarray(a) for a in arrays]
    return lambda: [np.asarray(g) for g in gradient(values)]


def scalar_network() -> Callable[[], Any]:
    """w0."""
    jax = _jax()
    values = engine_workloads.parameters()
    gradient = jax.jit(jax.grad(lambda p: engine_workloads.network(p, jax.numpy.tanh)))
    return lambda: [float(g) for g in gradient(values)]


def small_arrays() -> Callable[[], Any]:
    """w1."""
    return _gradients(lambda x, w: engine_workloads.chain(x, w, _jax().numpy.tanh).sum(), [engine_workloads.A, engine_workloads.W])


def large_elementwise() -> Callable[[], Any]:
    """w6."""
    return _gradients(lambda x, y: engine_workloads.expression(x, y, _jax().numpy), engine_workloads.large_arrays())


def _cross_entropy(logits: Any, labels: Any) -> Any:
    jax = _jax()
    return -jax.numpy.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], axis=1).mean()


def _network_step(sizes: tuple[int, ...], batch: int, update: Callable[..., Any]) -> Callable[[], Any]:
    """A training step whose parameters and state stay on JAX's side."""
    jax = _jax()
    x, labels, arrays = network_workloads._data(sizes, batch)

    def loss(parameters: Any) -> Any:
        h = x
        for i in range(0, len(parameters), 2):
            h = h @ parameters[i].T + parameters[i + 1]
            h = jax.nn.relu(h) if i + 2 < len(parameters) else h
        return _cross_entropy(h, jax.numpy.asarray(labels))

    def step(parameters: Any, state: Any) -> Any:
        gradients = jax.grad(loss)(parameters)
        parameters, state = update(parameters, gradients, state)
        return parameters, state, gradients

    compiled = jax.jit(step)
    held = [[jax.numpy.asarray(a) for a in arrays], (0, [np.zeros_like(a) for a in arrays], [np.zeros_like(a) for a in arrays])]

    def run() -> Any:
        held[0], held[1], gradients = compiled(*held)
        return [np.asarray(g) for g in gradients]

    return run


def large_network() -> Callable[[], Any]:
    """w2."""

    def adam(parameters: Any, gradients: Any, state: Any) -> Any:
        count, means, squares = state
        count = count + 1
        means = [0.9 * m + 0.1 * g for m, g in zip(means, gradients, strict=True)]
        squares = [0.999 * s + 0.001 * g * g for s, g in zip(squares, gradients, strict=True)]
        rate, root = 1e-3 / (1 - 0.9**count), (1 - 0.999**count) ** 0.5
        moved = [(p - rate * m / (_jax().numpy.sqrt(s) / root + 1e-8)).astype(np.float32) for p, m, s in zip(parameters, means, squares, strict=True)]
        return moved, (count, means, squares)

    return _network_step(network_workloads.LARGE, 128, adam)


def small_network() -> Callable[[], Any]:
    """w2b."""

    def momentum(parameters: Any, gradients: Any, state: Any) -> Any:
        count, velocities, unused = state
        velocities = [0.9 * v + g for v, g in zip(velocities, gradients, strict=True)]
        return [p - 0.1 * v for p, v in zip(parameters, velocities, strict=True)], (count, velocities, unused)

    return _network_step(network_workloads.SMALL, 32, momentum)


def convolutions() -> Callable[[], Any]:
    """w3."""
    jax = _jax()
    images, labels = convolution_workloads._batch()

    def pooled(x: Any) -> Any:
        return jax.lax.reduce_window(x, -np.inf, jax.lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")

    def loss(w1: Any, b1: Any, w2: Any, b2: Any, w3: Any, b3: Any) -> Any:
        h = pooled(jax.nn.relu(jax.lax.conv(images, w1, (1, 1), "SAME") + b1[:, None, None]))
        h = pooled(jax.nn.relu(jax.lax.conv(h, w2, (1, 1), "SAME") + b2[:, None, None]))
        return _cross_entropy(h.reshape(len(h), -1) @ w3.T + b3, jax.numpy.asarray(labels))

    return _gradients(loss, [p.detach().numpy() for p in convolution_workloads.Network().parameters()])


def hessian_vector_product() -> Callable[[], Any]:
    """w8."""
    jax = _jax()
    x, t, parameters, vectors = second_order_workloads._network_data()
    gradient = jax.grad(lambda p: second_order_workloads._loss(p, x, t, jax.numpy.tanh))
    product = jax.jit(lambda p, v: jax.jvp(gradient, (p,), (v,))[1])
    return lambda: [np.asarray(g) for g in product(parameters, vectors)]


def hessian_of_rosenbrock() -> Callable[[], Any]:
    """w8b."""
    jax = _jax()
    hessian = jax.jit(jax.hessian(second_order_workloads._rosenbrock))
    x = np.random.default_rng(0).normal(size=50)
    return lambda: [np.asarray(hessian(x))]


STEPS: dict[str, Callable[[], Callable[[], Any]]] = {
    "w0": scalar_network,
    "w1": small_arrays,
    "w2": large_network,
    "w2b": small_network,
    "w3": convolutions,
    "w6": large_elementwise,
    "w8": hessian_vector_product,
    "w8b": hessian_of_rosenbrock,
}
