"""From raw records to a tuned model: data, baselines, QLoRA, scoring and evaluation."""
