"""Storage of static files in production: compressed, under names that change with the content."""

from whitenoise.storage import CompressedManifestStaticFilesStorage


class StaticFiles(CompressedManifestStaticFilesStorage):  # type: ignore[misc]  # whitenoise has no types
    """Rewrites the imports of ES modules to the changing names too, so that no browser mixes old and new modules."""

    support_js_module_import_aggregation = True

    def stored_name(self, name: str) -> str:
        """The name with the content's hash. Before collectstatic has run it is the plain name, so that pages work
        without styles."""
        try:
            stored: str = super().stored_name(name)
        except ValueError:
            return name
        return stored
