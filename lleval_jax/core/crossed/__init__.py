"""Effects of rows and of columns on a grid of answers: the model, its two inference schemes, and draws."""
