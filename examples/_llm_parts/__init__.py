"""The parts that the examples with language models share: which models answer, and models that cost nothing."""
