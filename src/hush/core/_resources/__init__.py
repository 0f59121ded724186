"""``resources.yaml`` and ``ResourceHub``: what graphs name, such as limits, from a file or from code."""
