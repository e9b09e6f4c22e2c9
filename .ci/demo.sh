#!/bin/sh
# The main job on a real model that ships with Pith: a small language model trained on public-domain
# text (fixtures/nanollama), compressed by a recipe; what was lost is printed: weight errors, and perplexity before and after.
set -eu
pith="$1"
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
step() { printf '\n$ %s\n' "$*" | sed "s#$folder#out#g"; "$@"; }

step "$pith" inspect fixtures/nanollama/model.h5
step "$pith" compress recipes/w4-rtn.yaml --model fixtures/nanollama/model.h5 --output "$folder/nano-w4.h5" --html "$folder/nano-w4.html"
step "$pith" validate "$folder/nano-w4.h5" --against fixtures/nanollama/model.h5
step "$pith" verify "$folder/nano-w4.h5"
step "$pith" evaluate --model "$folder/nano-w4.h5" --reference fixtures/nanollama --data fixtures/text/heldout_publicdomain.txt
mkdir -p .build/demo
cp "$folder/nano-w4.h5" "$folder/nano-w4.h5.run.json" "$folder/nano-w4.html" .build/demo/
printf '\nthe artefact and its report are in .build/demo/\n'
