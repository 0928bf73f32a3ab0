#!/usr/bin/perl
# A task in Perl: the number of words in the first argument.
use strict;
use warnings;
use JSON::PP;

my $request = decode_json(do { local $/; <STDIN> });
my @words = split ' ', $request->{args}[0];
print scalar(@words), "\n";
