"""Small and large matrices: inverses, factors, rotations, clusters of rows."""
