"""Training: `nn.fit`, and its pieces, each of which serves in a loop of one's own.

for epoch in range(epochs):
    for x, y in batches:
        optimizer.zero_grad()
        loss_function(model(x), y).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    if stopping.update(nn.training.evaluate(model, validation, loss_function)["loss"], model):
        break
stopping.restore(model)
"""

from nn.training.callbacks import Callback
from nn.training.diagnosis import NonFiniteError, explain_nonfinite
from nn.training.early_stopping import EarlyStopping
from nn.training.evaluation import evaluate, evaluating
from nn.training.fitting import fit
from nn.training.generators import Generators
from nn.training.gradient_flow import GradientFlow
from nn.training.half_precision import LossScaler, in_half_precision
from nn.training.history import History, Mean
from nn.training.hyperparameters import Hyperparameters
from nn.training.interrupts import Interrupts
from nn.training.metrics import accuracy
from nn.training.progress import Progress
from nn.training.run import Run

__all__ = [
    "Callback",
    "EarlyStopping",
    "Generators",
    "GradientFlow",
    "History",
    "Hyperparameters",
    "Interrupts",
    "LossScaler",
    "Mean",
    "NonFiniteError",
    "Progress",
    "Run",
    "accuracy",
    "evaluate",
    "evaluating",
    "explain_nonfinite",
    "fit",
    "in_half_precision",
]
