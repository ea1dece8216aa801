"""The admin of experiments, variants and daily metrics; Django finds it by the app's name."""

from experiments.admin import labels, model_admins

__all__ = ["labels", "model_admins"]
