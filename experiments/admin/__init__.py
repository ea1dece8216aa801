"""The admin of experiments, variants and daily metrics; Django finds it by the app's name."""

from experiments.admin import model_admins

__all__ = ["model_admins"]
