#!/bin/sh
# A shell pipeline as a tree: steps in sequence and side by side, one within another, and one that fails.
# The run's own socket bears its id as its name: the work prints it first, so that the tree can be shown afterwards.
cd -- "$(dirname -- "$0")" || exit
id=$(trails run --name pipeline -- sh work.sh)
trails tree "$id"
