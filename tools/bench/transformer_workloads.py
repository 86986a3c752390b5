"""w5, an encoder block of a Transformer, and a training step of a small GPT: against NumPy written out by hand, and torch.

python -m tools.bench.transformer_workloads            # both, a minute
python -m tools.bench.transformer_workloads w5 --quick
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

import autograd_core as ag
import nn
import optim
from nn import functional
from tools.bench.engine_workloads import installed
from tools.bench.measure import interleaved, one_core, table

__all__ = ["encoder_block", "gpt_step", "torch_gpt"]

Contenders = dict[str, Callable[[], Any]]


def agree(contenders: Contenders) -> None:
    """Raise AssertionError unless all contenders compute in float32 what the first one does."""
    expected, *others = [[np.array(value) for value in step()] for step in contenders.values()]
    for results, name in zip(others, list(contenders)[1:], strict=True):
        for got, wanted in zip(results, expected, strict=True):
            np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-4 * max(1.0, float(np.abs(wanted).max())), err_msg=name)


# --- w5 ---------------------------------------------------------------------------------------------------------------------------

BATCH, LENGTH, WIDTH, HEADS, HIDDEN = 8, 64, 128, 4, 512
ROWS, HEAD = BATCH * LENGTH, WIDTH // HEADS
ROOT, CUBIC = math.sqrt(2 / math.pi), 0.044715


class BlockByHand:
    """The block and its gradient written out: every product into a kept buffer, sums as products with ones, softmax in place."""

    def __init__(self, parameters: dict[str, Any]) -> None:
        self.p = parameters
        names = {"h1": WIDTH, "n1": WIDTH, "qkv": 3 * WIDTH, "o": WIDTH, "y": WIDTH, "h2": WIDTH, "n2": WIDTH, "f": HIDDEN, "t": HIDDEN}
        names |= {"a": HIDDEN, "z": WIDTH, "ga": HIDDEN, "u": HIDDEN, "gn": WIDTH, "gy": WIDTH, "go": WIDTH, "gqkv": 3 * WIDTH, "gx": WIDTH}
        self.b = {name: np.empty((ROWS, width), np.float32) for name, width in names.items()}
        self.scores, self.flow = (np.empty((BATCH, HEADS, LENGTH, LENGTH), np.float32) for _ in range(2))
        self.scaled = np.empty((BATCH, HEADS, LENGTH, HEAD), np.float32)
        self.g = {name: np.empty_like(value) for name, value in parameters.items()}
        self.ones, self.mean = np.ones(LENGTH, np.float32), np.full(WIDTH, 1 / WIDTH, np.float32)
        self.rows = np.ones(ROWS, np.float32)

    def normalise(self, x: Any, which: str, h: Any, n: Any) -> Any:
        np.subtract(x, (x @ self.mean)[:, None], out=h)
        scale = np.vecdot(h, h)
        scale *= 1 / WIDTH
        scale += 1e-5
        np.sqrt(scale, out=scale)
        np.reciprocal(scale, out=scale)
        np.multiply(h, scale[:, None], out=h)
        np.multiply(h, self.p[f"norm{which}.weight"], out=n)
        np.add(n, self.p[f"norm{which}.bias"], out=n)
        return scale

    def normalise_back(self, g: Any, h: Any, scale: Any, which: str, into: Any) -> None:
        """The gradient of normalise's input is added to `into`; g is used up."""
        np.matmul(self.rows, g, out=self.g[f"norm{which}.bias"])
        product = np.multiply(g, h, out=self.b["z"])
        np.matmul(self.rows, product, out=self.g[f"norm{which}.weight"])
        np.multiply(g, self.p[f"norm{which}.weight"], out=g)
        mean, along = g @ self.mean, np.vecdot(g, h)
        along *= 1 / WIDTH
        np.multiply(h, along[:, None], out=product)
        np.subtract(g, product, out=g)
        np.subtract(g, mean[:, None], out=g)
        np.multiply(g, scale[:, None], out=g)
        np.add(into, g, out=into)

    def product(self, x: Any, name: str, out: Any) -> None:
        np.matmul(x, self.p[f"{name}weight"].T, out=out)
        np.add(out, self.p[f"{name}bias"], out=out)

    def product_back(self, g: Any, x: Any, name: str, out: Any) -> None:
        np.matmul(g.T, x, out=self.g[f"{name}weight"])
        np.matmul(self.rows, g, out=self.g[f"{name}bias"])
        np.matmul(g, self.p[f"{name}weight"], out=out)

    def parts(self, qkv: Any) -> Any:
        return qkv.reshape((BATCH, LENGTH, 3, HEADS, HEAD)).transpose((2, 0, 3, 1, 4))

    def __call__(self, x: Any, g: Any) -> list[Any]:
        b, scale = self.b, 1 / math.sqrt(HEAD)
        r1 = self.normalise(x, "1", b["h1"], b["n1"])
        self.product(b["n1"], "self_attn.in_proj_", b["qkv"])
        query, key, value = self.parts(b["qkv"])
        np.multiply(query, scale, out=self.scaled)
        scores = np.matmul(self.scaled, key.swapaxes(-1, -2), out=self.scores)
        scores -= scores.max(axis=-1, keepdims=True)
        np.exp(scores, out=scores)
        total = scores @ self.ones
        scores *= np.reciprocal(total, out=total)[..., None]
        np.matmul(scores, value, out=b["o"].reshape((BATCH, LENGTH, HEADS, HEAD)).transpose((0, 2, 1, 3)))
        self.product(b["o"], "self_attn.out_proj.", b["y"])
        np.add(b["y"], x, out=b["y"])
        r2 = self.normalise(b["y"], "2", b["h2"], b["n2"])
        f, t, a, u = b["f"], b["t"], b["a"], b["u"]
        self.product(b["n2"], "linear1.", f)
        np.multiply(f, f, out=u)
        np.multiply(u, CUBIC * ROOT, out=t)
        np.add(t, ROOT, out=t)
        np.multiply(t, f, out=t)
        np.tanh(t, out=t)
        np.add(t, 1, out=a)
        np.multiply(a, f, out=a)
        np.multiply(a, 0.5, out=a)
        self.product(a, "linear2.", b["z"])
        np.add(b["z"], b["y"], out=b["z"])  # the value

        ga = b["ga"]
        self.product_back(g, a, "linear2.", ga)
        np.multiply(u, 1.5 * CUBIC * ROOT, out=u)  # (1 + t) / 2 + f (1 - t^2) (root / 2 + 1.5 cubic root f^2)
        np.add(u, 0.5 * ROOT, out=u)
        np.multiply(u, f, out=u)
        np.multiply(t, t, out=a)
        np.subtract(1, a, out=a)
        np.multiply(u, a, out=u)
        np.add(t, 1, out=t)
        np.multiply(t, 0.5, out=t)
        np.add(u, t, out=u)
        np.multiply(ga, u, out=ga)
        self.product_back(ga, b["n2"], "linear1.", b["gn"])
        np.copyto(b["gy"], g)
        self.normalise_back(b["gn"], b["h2"], r2, "2", b["gy"])
        self.product_back(b["gy"], b["o"], "self_attn.out_proj.", b["go"])
        g_head = b["go"].reshape((BATCH, LENGTH, HEADS, HEAD)).transpose((0, 2, 1, 3))
        g_query, g_key, g_value = self.parts(b["gqkv"])
        np.matmul(scores.swapaxes(-1, -2), g_head, out=g_value)
        flow = np.matmul(g_head, value.swapaxes(-1, -2), out=self.flow)
        flow -= np.vecdot(flow, scores)[..., None]
        flow *= scores
        np.matmul(flow, key, out=g_query)
        np.multiply(g_query, scale, out=g_query)
        np.matmul(flow.swapaxes(-1, -2), self.scaled, out=g_key)
        self.product_back(b["gqkv"], b["n1"], "self_attn.in_proj_", b["gn"])
        np.copyto(b["gx"], b["gy"])
        self.normalise_back(b["gn"], b["h1"], r1, "1", b["gx"])
        return [b["gx"].reshape((BATCH, LENGTH, WIDTH)), *self.g.values()]


def tanh_gelu(x: Any) -> Any:
    """GELU by its tanh form."""
    return functional.gelu(x, approximate="tanh")


def encoder_block() -> Contenders:
    """w5: an encoder block (norm first, tanh GELU, no dropout), 8 sequences of 64 in 128 dimensions, 4 heads, with its gradient."""
    rng = np.random.default_rng(0)
    x, g = (rng.normal(size=(BATCH, LENGTH, WIDTH)).astype(np.float32) for _ in range(2))
    block = nn.TransformerEncoderLayer(WIDTH, HEADS, HIDDEN, 0.0, tanh_gelu, batch_first=True, norm_first=True, generator=0)
    by_hand = BlockByHand({name: parameter.detach().numpy() for name, parameter in block.named_parameters()})
    gradient = ag.tensor(g)
    leaves = [ag.tensor(x, requires_grad=True), *block.parameters()]

    def ours() -> Any:
        for tensor in leaves:
            tensor.grad = None
        block(leaves[0]).backward(gradient)
        return [tensor.grad.numpy() for tensor in leaves]

    contenders: Contenders = {"limit": lambda: by_hand(x.reshape((ROWS, WIDTH)), g.reshape((ROWS, WIDTH))), "autograd_core": ours}
    if installed("torch"):
        import torch

        def torchs_gelu(x: Any) -> Any:
            return torch.nn.functional.gelu(x, approximate="tanh")

        theirs = torch.nn.TransformerEncoderLayer(WIDTH, HEADS, HIDDEN, 0.0, torchs_gelu, batch_first=True, norm_first=True)
        theirs.load_state_dict({name: torch.tensor(value.numpy()) for name, value in block.state_dict().items()})
        their_gradient = torch.tensor(g)
        their_leaves = [torch.tensor(x, requires_grad=True), *theirs.parameters()]

        def by_torch() -> Any:
            for tensor in their_leaves:
                tensor.grad = None
            theirs(their_leaves[0]).backward(their_gradient)
            return [tensor.grad.numpy() for tensor in their_leaves]

        contenders["torch"] = by_torch
    return contenders


# --- a training step of a GPT --------------------------------------------------------------------------------------------------------

SIZES: dict[str, Any] = {"vocab_size": 65, "block_size": 64, "n_layer": 4, "n_head": 4, "n_embd": 128, "bias": False}


def torch_gpt(model: nn.models.GPT, n_head: int) -> Any:
    """The same model in torch, as nanoGPT writes it, with the same weights: a function of (tokens, targets), and its parameters."""
    import torch
    from torch.nn import functional as F

    state = {name: torch.tensor(value.numpy(), requires_grad=True) for name, value in model.state_dict().items() if name != "transformer.wte.weight"}
    layers = len({name.split(".")[2] for name in state if name.startswith("transformer.h.")})

    def loss(tokens: Any, targets: Any) -> Any:
        table = state["lm_head.weight"]
        width = table.shape[1]
        batch, length = tokens.shape
        x = F.embedding(tokens, table) + F.embedding(torch.arange(length), state["transformer.wpe.weight"])
        for i in range(layers):
            p = {name.removeprefix(f"transformer.h.{i}."): value for name, value in state.items() if name.startswith(f"transformer.h.{i}.")}
            h = F.layer_norm(x, (width,), p["ln_1.weight"], p.get("ln_1.bias"))
            parts = F.linear(h, p["attn.c_attn.weight"], p.get("attn.c_attn.bias")).split(width, dim=2)
            q, k, v = (part.view(batch, length, n_head, width // n_head).transpose(1, 2) for part in parts)
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).contiguous().view(batch, length, width)
            x = x + F.linear(y, p["attn.c_proj.weight"], p.get("attn.c_proj.bias"))
            h = F.layer_norm(x, (width,), p["ln_2.weight"], p.get("ln_2.bias"))
            h = F.gelu(F.linear(h, p["mlp.c_fc.weight"], p.get("mlp.c_fc.bias")))
            x = x + F.linear(h, p["mlp.c_proj.weight"], p.get("mlp.c_proj.bias"))
        x = F.layer_norm(x, (width,), state["transformer.ln_f.weight"], state.get("transformer.ln_f.bias"))
        return F.cross_entropy(F.linear(x, table).view(-1, table.shape[0]), targets.reshape(-1))

    return loss, state


def gpt_step(batch: int = 12) -> Contenders:
    """Loss, gradient, clipping and AdamW of the GPT that nanoGPT's README gives for a CPU; each contender returns its loss."""
    rng = np.random.default_rng(0)
    model = nn.models.GPT(**SIZES, generator=0)
    tokens = rng.integers(0, SIZES["vocab_size"], size=(batch, SIZES["block_size"] + 1))
    inputs, targets = np.ascontiguousarray(tokens[:, :-1]), np.ascontiguousarray(tokens[:, 1:])
    contenders: Contenders = {}
    if installed("torch"):
        import torch

        loss_of, state = torch_gpt(model, SIZES["n_head"])
        split = [[p for p in state.values() if p.ndim == 2], [p for p in state.values() if p.ndim < 2]]
        options = [{"params": params, "weight_decay": decay} for params, decay in zip(split, (0.1, 0.0), strict=True)]
        theirs = torch.optim.AdamW(options, lr=1e-3, betas=(0.9, 0.99))
        their_inputs, their_targets = torch.tensor(inputs), torch.tensor(targets)

        def by_torch() -> Any:
            theirs.zero_grad()
            loss = loss_of(their_inputs, their_targets)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(list(state.values()), 1.0)
            theirs.step()
            return [loss.item()]

        contenders["torch"] = by_torch
    parameters = list(model.parameters())
    groups = [
        {"params": [p for p in parameters if p.ndim == 2], "weight_decay": 0.1},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimizer = optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.99))

    def ours() -> Any:
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(inputs).reshape((-1, SIZES["vocab_size"])), targets.reshape(-1))
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        return [loss.item()]

    contenders["autograd_core"] = ours
    return contenders


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; 1 if a goal is missed."""
    parser = argparse.ArgumentParser(prog="python -m tools.bench.transformer_workloads", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("workloads", nargs="*", help="w5, gpt; both by default")
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    options = parser.parse_args(arguments)
    one_core()
    rows, missed = [], []
    for name in options.workloads or ("w5", "gpt"):
        contenders = {"w5": encoder_block, "gpt": gpt_step}[name]()
        agree(contenders)
        seconds = interleaved(contenders, 7 if options.quick else 31)
        first = next(iter(contenders))
        ratio = seconds["autograd_core"] / seconds[first]
        if ratio > 1.0:
            missed.append(name)
        others = ", ".join(f"{other} {1e3 * spent:.2f} ms" for other, spent in seconds.items())
        rows.append([name, f"{ratio:.3f}", first, others])
    print(table(["", "ratio", "to", "each"], rows))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
