"""The generator: customers, their behaviour, fraud as sequences of events, labels and the times they become known.

docs/synthetic.md tells its story; docs/decisions/0004-generator-difficulty.md what makes it hard, and how hard.
"""

from sentinel_core.synthetic.difficulty import DEFAULT_DIFFICULTY, Difficulty
from sentinel_core.synthetic.drifts import Ramp
from sentinel_core.synthetic.generate import Simulation, generate, simulate

__all__ = ["DEFAULT_DIFFICULTY", "Difficulty", "Ramp", "Simulation", "generate", "simulate"]
