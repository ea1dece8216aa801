"""How static files are stored in production: compressed, under names that change with what they hold."""

from whitenoise.storage import CompressedManifestStaticFilesStorage


class StaticFiles(CompressedManifestStaticFilesStorage):  # type: ignore[misc]  # whitenoise has no types
    """ES modules import each other under such names too, so that no browser mixes an old one with a new one."""

    support_js_module_import_aggregation = True

    def stored_name(self, name: str) -> str:
        """Before collectstatic has run there is no such name: a page without its styles is better than none."""
        try:
            stored: str = super().stored_name(name)
        except ValueError:
            return name
        return stored
