"""The tests; they mirror service/ and training/, with whole-path tests beside them."""
