"""servers/nginx."""
