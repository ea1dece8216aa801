from django.apps import AppConfig


class NotificationsConfig(AppConfig):
    name = "notifications"

    def ready(self) -> None:
        from allocation.announcements import on_decisions, on_sweep
        from notifications.detection import detect_in_decisions, detect_in_sweep

        on_decisions(detect_in_decisions)
        on_sweep(detect_in_sweep)
