"""Which rows are trained and which are held out, and the gates that prove the choice."""
