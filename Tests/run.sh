#!/usr/bin/env bash
# Runs the tests that were built (arguments go to `swift test`) and says again at the end which failed and why: where only the end of a log
# is kept, that is what is left. The whole output stays in .build/tests.log.
set -uo pipefail
cd "$(dirname "$0")/.."
log=.build/tests.log
# Tests run side by side in one process, and some machines allow few open files unless asked.
limit=$(ulimit -Hn)
if [ "$limit" = unlimited ] || [ "$limit" -gt 8192 ]; then limit=8192; fi
ulimit -Sn "$limit"
longest=60 # lines of one failure that are repeated

# What is compared with references is listed here, for the report at the end; part of the tests makes no report.
if [ $# = 0 ]; then
    export EMULATE_COVERAGE="$PWD/.build/coverage"
    rm -rf "$EMULATE_COVERAGE"
fi

# A test that hangs must not take its name with it.
timeout --kill-after=30 "${TEST_SECONDS:-1500}" swift test -c release --skip-build "$@" 2>&1 | tee "$log"
status=${PIPESTATUS[0]}
if [ "$status" = 0 ]; then
    [ $# = 0 ] || exit 0
    Tests/coverage.sh "$EMULATE_COVERAGE"
    exit
fi

echo
if [ "$status" = 124 ] || [ "$status" = 137 ]; then
    echo "emulate: the tests did not end within ${TEST_SECONDS:-1500} s (TEST_SECONDS). Begun and not ended:"
    sed -nE 's/^◇ (Test .*) started\.$/\1/p' "$log" | grep -v '^Test case ' | while IFS= read -r test; do
        grep -aqF -e "$test passed" -e "$test failed" -e "$test with " "$log" || printf '  %s\n' "$test"
    done
fi
echo "emulate: tests failed (swift test ended with $status; $log has the whole output). What failed:"
left=0 failures=()
while IFS= read -r line; do
    case $line in
        *"✘ Test run with "*) left=0 ;; # the summary; printed last
        *"✘ "*" recorded an issue"*) left=$longest; failures+=("$line") ;;
        *"✘ "* | *"Fatal error"* | *"unexpected signal"*) left=1; failures+=("$line") ;;
        "◇ "* | "✔ "* | "➜ "*) left=0 ;;
    esac
    if [ "$left" -gt 0 ]; then
        printf '%s\n' "$line"
        left=$((left - 1))
    fi
done <"$log"
echo
echo "In short:"
printf '%.300s\n' "${failures[@]:-nothing was reported: see the end of $log}"
grep -a 'Test run with ' "$log" | tail -n 1
exit "$status"
