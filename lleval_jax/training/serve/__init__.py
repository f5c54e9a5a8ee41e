"""Many adapters of one model at once: every row of a batch has its own.

batched         the update of a linear layer for rows with adapters of their own, as functions of arrays
adapted_layers  linear layers with tables of adapters
resident        a decoder with such layers, and which adapter has which place
rotating        likewise, with more adapters than there are places: they take turns
steps           the compiled part: prompts are read, rows written on
asking          what is asked of an engine, and what it tells
counts          what it has done
engine          requests that come and go, written on together
wire, app       the engine as OpenAI's clients ask it
listening       an application at an address, until it is stopped
drawn, load     what a server does under load
"""
