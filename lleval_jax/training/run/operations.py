"""How much a model computes: its parameters, the operations of a token, and those of a step."""

from typing import Any

import jax

from lleval_jax.training.run.step import Parts


def parameters(state: Any) -> int:
    """How many numbers a state holds."""
    return sum(leaf.size for leaf in jax.tree.leaves(state))


def per_token(parts: Parts, twice: bool, embedding: int) -> float:
    """Operations a token: forward (twice where a batch is several micro-batches), back, and of what learns."""
    weights = parameters(parts.learned) + parameters(parts.fixed) - embedding
    learned = min(parameters(parts.learned), weights)
    return 2.0 * (weights * (3 if twice else 2) + learned)


def of_step(parts: Parts, embedding: int, tokens: int, scored: int, head_learns: bool) -> float:
    """Operations that a step needs, by count: what a rate is compared with a device's peak by.

    A second forward pass, which exact micro-batches take, is not needed in this sense; nor is attention's product of
    queries and keys counted, which is small where rows are short.

    Args:
        parts: the model.
        embedding: numbers of the table of tokens, which is the head too.
        tokens: of the step.
        scored: those whose probability is asked, which meet the head.
        head_learns: whether the head's own gradient is computed.
    """
    return tokens * per_token(parts, False, embedding) + 2.0 * scored * embedding * (3 if head_learns else 2)
