"""A plan before the spend: what a training run needs, computed from its settings and a model's config."""
