"""Forms that are sent: looked at by their address, sent twice, or opened before somebody else saved."""
