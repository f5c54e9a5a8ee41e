"""A judge corrected by human labels."""
