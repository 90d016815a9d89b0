"""What is done to a database as a whole, beside the queries of an application."""
