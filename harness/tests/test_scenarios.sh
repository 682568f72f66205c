#!/usr/bin/env bash
# Every scenario on the core in virtual time as each Kafka that they know, and side by side on mocks over TCP; and that
# `rejoin run` notices what is wrong: on both targets, with the exit codes of ARCHITECTURE's table.
set -euo pipefail
rejoin=$1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# expect CODE TEXT TARGET: what `rejoin run` makes of the scenario on stdin.
expect() {
  local code=0 said
  { echo '# keeps hb-generation: a test of rejoin run itself'; cat; } >"$folder/test.scn"
  said=$("$rejoin" run --target "$3" "$folder/test.scn" 2>&1) || code=$?
  [ "$code" = "$1" ] && grep -qF -- "$2" <<<"$said" && return
  printf 'expected exit code %s and "%s" on %s, got %s:\n%s\n' "$1" "$2" "$3" "$code" "$said"
  cat "$folder/test.scn"
  exit 1
}
for target in core mock; do
  expect 0 '1 passed' $target <<<'m1 > Heartbeat < UNKNOWN_MEMBER_ID'
  expect 1 'test.scn:2: expected NONE, found UNKNOWN_MEMBER_ID' $target <<<'m1 > Heartbeat < NONE'
  expect 1 'expected rule hb-generation, found hb-unknown-group' $target \
    <<<'m1 > Heartbeat < UNKNOWN_MEMBER_ID !hb-generation'
  expect 1 'an answer came that no line expects' $target <<<$'m1 > Heartbeat\n+500ms'
  expect 1 'ms too early' $target <<<$'m1 > Heartbeat\n+2s m1 < UNKNOWN_MEMBER_ID'
  expect 1 'm1 waits for no answer' $target <<<$'m1 > Heartbeat < UNKNOWN_MEMBER_ID\nm1 waits'
  expect 2 'stale' $target <<<$'m1 > Heartbeat < UNKNOWN_MEMBER_ID\nkafka>=3.0: NONE # never so'
  expect 3 'test.scn:2:6' $target <<<'m1 > Hartbeat < NONE'
  expect 4 'nothing is expected' $target <<<'m1 > Heartbeat <'
  expect 5 'not-run' $target <<<$'needs kafka<0.9 # long ago\nm1 > Heartbeat < NONE'
done

# What cannot be built names the whole word where it stands, in a declaration too, and what in it is wrong.
expect 4 "test.scn:2: column 16: found 'range:\$zz' in 'protocols=range:\$zz', expected protocols=NAME" core \
  <<<'m1 > JoinGroup protocols=range:$zz < NONE'
expect 4 "test.scn:2: column 11: found 'b:\$zz' in 'protocols=a,b:\$zz,c', expected protocols=NAME" core \
  <<<$'member m1 protocols=a,b:$zz,c\n\nm1 > JoinGroup < NONE'
expect 4 "test.scn:2: column 16: found '\$zz:x' in 'assignments=\$zz:x', expected assignments=" core \
  <<<'m1 > SyncGroup assignments=$zz:x < NONE'
expect 4 "test.scn:2: column 17: found '\$zz' in 'member=\$zz', expected text" core <<<'m1 > LeaveGroup member=$zz < NONE'
expect 4 "test.scn:2: column 17: found '\$zz' in 'reason=\$zz', expected text" core \
  <<<'m1 > LeaveGroup reason=$zz < NONE'
expect 4 "test.scn:2: column 17: found 'a/\$zz' in 'members=b,a/\$zz', expected members=" core \
  <<<'m1 > LeaveGroup members=b,a/$zz < NONE'
expect 4 "test.scn:2: column 21: found '\$zz' in 'groups=\$zz,g', expected text" core \
  <<<'m1 > DescribeGroups groups=$zz,g < NONE'
expect 4 "test.scn:2: column 18: found '\$zz' in 'groups=g,\$zz', expected text" core \
  <<<'m1 > OffsetFetch groups=g,$zz all < NONE'
expect 4 "test.scn:2: column 19: found 't-0=5:\$zz', expected TOPIC-PARTITION=OFFSET" core \
  <<<'m1 > OffsetCommit t-0=5:$zz < NONE'
expect 4 "test.scn:2: column 16: found 'generation=soon', expected a number" core <<<'m1 > Heartbeat generation=soon < NONE'
expect 4 "test.scn:2: column 16: found 'speed' in 'speed=7', expected a field" core <<<'m1 > Heartbeat speed=7 < NONE'
expect 4 "test.scn:2: column 16: found '\$zz' in '{\"groupId\":\"\$zz\"}', expected a" core \
  <<<'m1 > Heartbeat {"groupId":"$zz"} < NONE'

expect 1 'no answer to m1' core <<<$'m1 > JoinGroup v3\n+299ms m1 < NONE'
expect 5 "'force' cannot be done on the mock" mock <<<'force g Dead'
expect 5 'does not advertise OffsetCommit v10' mock <<<'m1 > OffsetCommit v10 < NONE'

# A rewrite keeps the fields that a line names, fills in what names none, and the result passes.
printf '%s\n' '# keeps hb-generation: a test of --rewrite' 'm1 > JoinGroup < NONE memberId=x # kept' 'm1 > Heartbeat <' \
  >"$folder/test.scn"
"$rejoin" run --rewrite "$folder/test.scn" >/dev/null
grep -qxF 'm1 > JoinGroup < MEMBER_ID_REQUIRED memberId=$m1 !join-new-dynamic-v4 # kept' "$folder/test.scn"
grep -qxF 'm1 > Heartbeat < UNKNOWN_MEMBER_ID !hb-empty' "$folder/test.scn"
"$rejoin" run "$folder/test.scn" >/dev/null

for version in 3.9 4.1 4.2; do
  timeout 120 "$rejoin" run --kafka-version $version harness/scenarios
done
timeout 240 "$rejoin" run --target mock --longest 10s harness/scenarios
