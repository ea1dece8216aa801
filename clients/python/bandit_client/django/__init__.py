"""Django integration: a middleware that knows the visitor, and a template tag. See README.md."""
