"""Where people train: on Modal, in Colab, on several GPUs. Files to start, each calling the package; no logic here."""
