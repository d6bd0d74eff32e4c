"""The command line: parse, call the library, print. No decisions of its own."""
