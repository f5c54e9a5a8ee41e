"""Mathematics on arrays: pure, for one model and one item, mapped from outside."""
