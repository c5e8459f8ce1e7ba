"""The paper's experiment and the comparison with other methods: what `eelswatch evaluate` runs."""
