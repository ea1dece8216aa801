"""How gunicorn runs the service: its worker, whole request bodies, and database connections between requests."""
