"""The one reader of nginx configurations: statements, a whole configuration, the lab's copy of one."""
