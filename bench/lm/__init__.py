"""Language models: speed, memory and quality of what loads, scores and writes them."""
