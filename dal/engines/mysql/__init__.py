"""MariaDB and MySQL, through asyncmy: an own pool of its connections, one round trip a statement."""
