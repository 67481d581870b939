"""What is measured on every checkpoint that matters."""
