#!/usr/bin/env bash
# What several harts on threads gain and cost: two harts that compute against one, and lr/sc and atomics on one word.
#   benchmarks/smp.sh [EMULATE]      default .build/release/emulate
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
emulate=${1:-$top/.build/release/emulate}
"$top/benchmarks/build.sh"
programs=$top/.build/benchmarks
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# Nanoseconds per operation by the guest's clock.
figure() { "$emulate" -smp "$2" -bios none -nographic -kernel "$programs/$1.machine" | awk '/@bench result/ { print $5 / $4 / $7 }'; }
best() { sort -g | head -1; }

# In turns, so that whatever else the machine does hits both.
for round in 1 2 3 4 5; do
    figure compute-one 1 >>"$folder/one"
    figure compute-one 2 >>"$folder/shared"
    figure compute-harts 2 >>"$folder/two"
done
paste <(best <"$folder/one") <(best <"$folder/shared") <(best <"$folder/two") | awk '{
    printf "two harts compute as much as %.2f, each at %.2f of its speed alone\n", $1 / $3, $1 / (2 * $3)
    printf "one hart that computes beside an idle one: %.2f of its speed alone\n", $1 / $2 }'
for name in amo lrsc; do
    for round in 1 2 3; do figure $name 1 >>"$folder/$name.1"; figure $name-harts 2 >>"$folder/$name.2"; done
    paste <(best <"$folder/$name.1") <(best <"$folder/$name.2") | awk -v name="$name" '{ printf "%s: %.1f ns on one hart, %.1f ns on one word with two\n", name, $1, $2 }'
done
