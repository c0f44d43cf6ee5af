"""Tasks about live programs: rename, complete, test and extend them."""
