#!/usr/bin/env bash
# Measures `classify serve` on one core, with a client on the others: live streams, connections that say nothing, and
# uploads beside the command's own throughput. bench/load.sh [SECONDS] [STREAMS...], 600 seconds and 400 800 by default.
# MODEL is the model of the streams: an embedded one's name, the default, or a file.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-600}
shift || true
streams=("${@:-400 800}")
work=$(mktemp -d)
server=0
trap '[ $server = 0 ] || kill $server; wait; rm -rf "$work"' EXIT
go build -o "$work" ./cmd/classify ./bench/load
ulimit -n "$(ulimit -Hn)"
pin=() others=()
if command -v taskset >/dev/null && [ "$(nproc)" -gt 1 ]; then
	pin=(taskset -c 0) others=(taskset -c "1-$(($(nproc) - 1))")
fi
serve() {
	GOMAXPROCS=1 "${pin[@]}" "$work/classify" serve "$@" --addr 127.0.0.1:18099 2>"$work/log" &
	server=$!
	for _ in $(seq 100); do curl -sf http://127.0.0.1:18099/healthz >/dev/null && return; sleep 0.1; done
	cat "$work/log"
	exit 1
}
end() { kill $server; wait $server || true; server=0; }
load() { "${others[@]}" "$work/load" "$@"; }

model=$(sed -n 's/^model name\s*: //p' /proc/cpuinfo | head -n 1)
printf '# Load\n\n%s, one core for the service; %s; polyphon %s; %s.\n\n' "${model:-$(uname -m)}" \
	"$(go env GOVERSION)" "$(git describe --always --dirty)" "$(date +%F)"
printf '## Live streams of %s, one core, %s s\n\n' "${MODEL:-the default model}" "$seconds"
for count in ${streams[*]}; do
	serve ${MODEL:+--model "$MODEL"}
	load streams http://127.0.0.1:18099 --count "$count" --seconds "$seconds"
	end
done
printf '\n## Connections that say nothing\n\n'
serve
load silent http://127.0.0.1:18099 --count 10000 --seconds 25
end

printf '\n## Uploads of sounds of a second, one core\n\n'
mkdir "$work/sounds"
for i in $(seq 2000); do cp examples/left.wav "$work/sounds/$i.wav"; done
GOMAXPROCS=1 "${pin[@]}" "$work/classify" --threads 1 --format ndjson "$work/sounds" | tail -n 1 |
	sed -E 's/.*"files":([0-9]+).*"elapsed":([0-9.]+).*/\1 \2/' | awk '{ printf "classify: %.0f sounds/s\n\n", $1 / $2 }'
serve
load uploads http://127.0.0.1:18099 --seconds 3
end
