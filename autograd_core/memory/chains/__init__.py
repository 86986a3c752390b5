"""Long chains of steps in little memory: `checkpoint_chain` keeps some states and computes what lies between them again.

schedules   which states to keep and when to go back to them: plain numbers
states      what is between two steps
costs       what steps cost, measured
passes      one call of a chain: forward through a schedule, and back
chain       the public function

Read `chain.py` first. This room must not know what a step computes.
"""

from autograd_core.memory.chains.chain import checkpoint_chain

__all__ = ["checkpoint_chain"]
