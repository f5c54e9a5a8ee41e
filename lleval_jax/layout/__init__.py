"""Values as arrays, with their names kept on the host: one file a kind of data."""
