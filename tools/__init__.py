"""Programs of the checkout that are no part of the package: installing it, making the pages of its site."""
