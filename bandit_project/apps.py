from django.apps import AppConfig


class BanditProjectConfig(AppConfig):
    name = "bandit_project"

    def ready(self) -> None:
        from bandit_project import api_schema, checks  # noqa: F401  (they register themselves)
        from bandit_project.connections import spare_health_checks
        from bandit_project.metrics import start_counting

        start_counting()
        spare_health_checks()
