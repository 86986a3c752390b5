"""What calls mean on batches: for all at once by a line of the tables, and else for one element after the other."""

from __future__ import annotations

from typing import Any

# The tables are filled by importing their families.
from autograd_core.arrays.batching import elements, elementwise, products, rearranging, reductions
from autograd_core.arrays.batching.array import Batched, BatchingError
from autograd_core.arrays.batching.loop import each, each_of_innermost
from autograd_core.arrays.batching.table import FUNCTIONS
from autograd_core.arrays.batching.ufuncs import apply_ufunc
from autograd_core.arrays.layers import Interpreter, interprets

__all__ = ["FAMILIES", "BatchInterpreter"]

FAMILIES = (elements, elementwise, products, rearranging, reductions)


@interprets(Batched)
class BatchInterpreter(Interpreter):
    """NumPy's functions of `Batched`."""

    def ufunc(self, ufunc: Any, method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any], level: int) -> Any:
        return apply_ufunc(ufunc, method, inputs, kwargs, level)

    def function(self, function: Any, args: Any, kwargs: dict[str, Any], level: int) -> Any:
        rule = FUNCTIONS.get(function)
        result = NotImplemented if rule is None else rule(level, *args, **kwargs)
        return each(function, args, kwargs, level) if result is NotImplemented else result

    def op(self, op: Any, args: Any, kwargs: dict[str, Any], level: int) -> Any:
        if not op.batches:
            return each(op.function, args, kwargs, level)
        try:
            return op.function(*args, **kwargs)
        except BatchingError as error:
            return each_of_innermost(op.function, args, kwargs, error)
