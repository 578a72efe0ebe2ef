#!/usr/bin/env bash
# Prints which rows of the instruction table and which fields of control and status registers the tests have compared with a reference of
# their own, from the lists the tests left in a folder (TestSupport/CoverageLog.swift); fails when one is missing.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=${1:-.build/coverage}
for list in rows fields; do
    [ -s "$folder/$list.txt" ] || { echo "coverage: $folder/$list.txt is missing: run the whole of the tests with EMULATE_COVERAGE=$folder" >&2; exit 1; }
done
tested=$(cat "$folder"/tested-*.txt | sort -u)

# Fields that follow other state name the test that shows how; it must be one there is. (That it passed, run.sh knows.)
functions=$(grep -rhoE 'func [A-Za-z0-9]+' Tests --include='*.swift' | cut -d' ' -f2 | sort -u)

awk -F '\t' -v tested="$tested" -v functions="$functions" '
    BEGIN {
        split(tested, names, "\n"); for (i in names) done[names[i]] = 1
        split(functions, names, "\n"); for (i in names) exists[names[i]] = 1
    }
    FILENAME ~ /rows/ {
        if (!($2 in rows)) order[++groups] = $2
        rows[$2]++; total++
        if ($1 in done) { met[$2]++; all++ } else missing[++gaps] = "instruction " $1 " (" $2 ")"
        next
    }
    {
        split($1, place, "."); fields++
        if (!(place[1] in csrs)) { csrs[place[1]] = 1; registers++ }
        if (!($1 in done)) missing[++gaps] = "field " $1
        else if ($2 != "" && !($2 in exists)) missing[++gaps] = "field " $1 ": there is no test " $2
    }
    END {
        print "Instructions compared with a reference, by extension (what an alternative extension also provides is counted once):"
        line = ""
        for (i = 1; i <= groups; i++) {
            item = sprintf("%s %d/%d", order[i], met[order[i]], rows[order[i]])
            if (length(line) + length(item) > 120) { print "  " line; line = "" }
            line = line (line == "" ? "" : ", ") item
        }
        print "  " line
        printf "coverage: %d of %d instructions, %d of %d fields of %d control and status registers\n", all, total, fields - fieldGaps(), fields, registers
        for (i = 1; i <= gaps; i++) print "coverage: not tested: " missing[i]
        exit gaps > 0
    }
    function fieldGaps(   i, count) { for (i = 1; i <= gaps; i++) if (missing[i] ~ /^field/) count++; return count + 0 }
' "$folder/rows.txt" "$folder/fields.txt"
