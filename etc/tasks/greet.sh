#!/bin/sh
# The request is read from standard input and the result is written to standard output. Standard error is the log of
# the task.
who=$(sed 's/.*"who": *"\([^"]*\)".*/\1/')
echo "greeting $who" >&2
printf '"hello, %s"\n' "$who"
