"""Tables of answers as people have them: from a file or from memory, long or wide, with columns of any name."""
