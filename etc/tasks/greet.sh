#!/bin/sh
# The request comes on standard input, the value goes to standard output, what is said to standard error is
# the task's log.
who=$(sed 's/.*"who": *"\([^"]*\)".*/\1/')
echo "greeting $who" >&2
printf '"hello, %s"\n' "$who"
