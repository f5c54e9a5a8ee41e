"""The words typed in a shell: read -> call -> show. Contains no statistics."""
