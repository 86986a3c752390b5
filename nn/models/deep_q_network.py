"""A deep Q-network, which learns to balance a pole on a cart by trying.

Mnih et al. 2015, "Human-level control through deep reinforcement learning", algorithm 1: experience is replayed from a memory, and
the targets come from an older copy of the network. The cart and its pole: Barto, Sutton & Anderson 1983, "Neuronlike adaptive
elements that can solve difficult learning control problems", appendix, with the numbers of Gym's CartPole-v1.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

import autograd_core as ag
from nn import functional, init
from nn.models.mlp import MLP
from nn.module import Module

__all__ = ["CartPole", "DeepQNetwork", "ReplayMemory"]


class CartPole:
    """A pole stands on a cart, which is pushed to the left (0) or to the right (1); the reward is 1 as long as it has not fallen.

    An episode ends when the pole leans by more than 12 degrees, or the cart is more than 2.4 m from the middle, or after `longest` steps.
    """

    gravity, cart_mass, pole_mass, half_length, force, seconds = 9.8, 1.0, 0.1, 0.5, 10.0, 0.02

    def __init__(self, generator: init.Seed = None, longest: int = 500) -> None:
        self.random = init.as_generator(generator)
        self.longest = longest
        self.state = (0.0, 0.0, 0.0, 0.0)  # position, velocity, angle, angular velocity
        self.steps = 0

    def reset(self) -> Any:
        """Begin an episode, near the middle and nearly upright; what is seen of it."""
        position, velocity, angle, turning = self.random.uniform(-0.05, 0.05, 4).tolist()
        self.state, self.steps = (position, velocity, angle, turning), 0
        return np.array(self.state, np.float32)

    def step(self, action: int) -> tuple[Any, float, bool, bool]:
        """Push the cart: what is seen then, the reward, whether the pole has fallen, and whether the time is over."""
        if action not in (0, 1):
            raise ValueError(f"CartPole: an action is 0 (to the left) or 1 (to the right), not {action!r}")
        position, velocity, angle, turning = self.state
        mass = self.cart_mass + self.pole_mass
        cos, sin = math.cos(angle), math.sin(angle)
        push = (self.force if action == 1 else -self.force) + self.pole_mass * self.half_length * turning**2 * sin
        push /= mass
        # Newton's laws for the pole's turning, then for the cart.
        turn = (self.gravity * sin - cos * push) / (self.half_length * (4 / 3 - self.pole_mass * cos**2 / mass))
        acceleration = push - self.pole_mass * self.half_length * turn * cos / mass
        self.state = (
            position + self.seconds * velocity,
            velocity + self.seconds * acceleration,
            angle + self.seconds * turning,
            turning + self.seconds * turn,
        )
        self.steps += 1
        fallen = abs(self.state[0]) > 2.4 or abs(self.state[2]) > math.radians(12)
        return np.array(self.state, np.float32), 1.0, fallen, self.steps >= self.longest


class ReplayMemory:
    """The last steps that were tried, `capacity` of them at most: what was seen, done, earned, seen next, and whether that was the end."""

    def __init__(self, capacity: int, observation_size: int) -> None:
        self.arrays: dict[str, Any] = {
            "seen": np.zeros((capacity, observation_size), np.float32),
            "action": np.zeros(capacity, np.int64),
            "reward": np.zeros(capacity, np.float32),
            "next": np.zeros((capacity, observation_size), np.float32),
            "ended": np.zeros(capacity, bool),
        }
        self.added = 0

    def __len__(self) -> int:
        return min(self.added, len(self.arrays["action"]))

    def add(self, *step: Any) -> None:
        """Remember a step; the oldest one is forgotten if the memory is full."""
        for array, value in zip(self.arrays.values(), step, strict=True):
            array[self.added % len(array)] = value
        self.added += 1

    def sample(self, count: int, random: np.random.Generator) -> dict[str, Any]:
        """Some steps, each drawn from all; ValueError if there are none."""
        if not self.added:
            raise ValueError("ReplayMemory: there is nothing to remember yet; add steps first")
        places = random.integers(0, len(self), count)
        return {name: array[places] for name, array in self.arrays.items()}


class DeepQNetwork(Module):
    """For each action, how much reward is to be expected after it: Q.

    sizes     (numbers that are seen, hidden, ..., actions)
    discount  how much a reward is worth that comes a step later
    seed      of the initial values, and of what is tried

    >>> import numpy as np, nn
    >>> network = nn.models.DeepQNetwork(4, 32, 2, seed=0)
    >>> network(np.zeros((5, 4), np.float32)).shape
    (5, 2)
    """

    def __init__(self, *sizes: int, discount: float = 0.99, dtype: Any = np.float32, seed: init.Seed = None) -> None:
        self.random = init.as_generator(seed)
        self.online = MLP(*sizes, dtype=dtype, generator=self.random)
        self.target = copy.deepcopy(self.online).requires_grad_(False)
        self.discount = discount

    def forward(self, observations: Any) -> Any:
        return self.online(observations)

    def act(self, observation: Any, explore: float = 0.0) -> int:
        """The action that promises most, or any one with probability `explore`."""
        with ag.no_grad():
            values = np.asarray(self(observation[None]).data)[0]
        return int(self.random.integers(len(values)) if self.random.random() < explore else values.argmax())

    def loss(self, steps: Mapping[str, Any]) -> Any:
        """The Huber loss of Q(seen, action) against reward + discount max Q(next) of the older copy."""
        with ag.no_grad():
            best = np.asarray(self.target(steps["next"]).data).max(axis=1)
        promised = steps["reward"] + np.float32(self.discount) * np.where(steps["ended"], np.float32(0), best)
        values = self(steps["seen"])
        return functional.smooth_l1_loss(values[np.arange(len(promised)), steps["action"]], promised)

    def renew_target(self) -> None:
        """Make the older copy the network of now."""
        self.target.load_state_dict(self.online.state_dict())

    def train_on(
        self, world: CartPole, optimizer: Any, steps: int, memory: ReplayMemory, batch_size: int = 64, explore: Any = 0.1, renew_every: int = 200
    ) -> list[float]:
        """Try `steps` steps in a world, and learn after each of them; the rewards of the episodes that were completed.

        optimizer  of `online.parameters()`
        explore    the probability to try any action, or a function of the step
        """
        rewards, earned, observation = [], 0.0, world.reset()
        for step in range(steps):
            action = self.act(observation, explore(step) if callable(explore) else explore)
            following, reward, fallen, over = world.step(action)
            memory.add(observation, action, reward, following, fallen)
            earned += reward
            observation = following
            if fallen or over:
                rewards.append(earned)
                earned, observation = 0.0, world.reset()
            if len(memory) >= batch_size:
                optimizer.zero_grad()
                self.loss(memory.sample(batch_size, self.random)).backward()
                optimizer.step()
            if step % renew_every == 0:
                self.renew_target()
        return rewards

    def play(self, world: CartPole) -> float:
        """The reward of one episode without exploring."""
        observation, earned = world.reset(), 0.0
        while True:
            observation, reward, fallen, over = world.step(self.act(observation))
            earned += reward
            if fallen or over:
                return earned
