"""What a run will cost, before it begins.

cost    parameters, memory, operations, time
memory  of a step, from shapes alone
live    bytes that a program holds at a time, from its trace
"""
