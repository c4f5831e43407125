#!/usr/bin/env bash
# abuse.sh: kills classify and train, fills their disks, takes their rights, sends them signals, closes their pipes and
# exchanges their inputs, and checks that nothing is lost: outputs are whole or not there, the same command goes on,
# status and message say what happened. Prints a table and exits with 1 where something did not survive. It needs bash,
# Go and a few minutes; as root it also fills a disk of its own (tmpfs) and gives up root's rights where these matter.
#
#   bench/abuse.sh [SEED]
set -uo pipefail
shopt -s inherit_errexit globstar nullglob
cd "$(dirname "$0")/.."
RANDOM=${1:-$$}
root=$PWD
work=$(mktemp -d)
chmod 755 "$work"
full=$work/full
cleanup() {
	umount "$full" 2>/dev/null
	chmod -R u+rwX "$work" 2>/dev/null
	rm -rf "$work"
}
trap cleanup EXIT
go build -o "$work/bin/" ./cmd/classify ./cmd/train || exit 1
go run ./bench/abuse "$work" || exit 1
cd "$work"
classify=$work/bin/classify train=$work/bin/train

declare -A tried survived
faults=()
# attempt FAULT begins a check; each expectation that does not hold counts it as not survived.
attempt() {
	settle
	fault=$1 held=yes
	[ -n "${tried[$fault]:-}" ] || faults+=("$fault")
	tried[$fault]=$((${tried[$fault]:-0} + 1))
}
settle() {
	[ -z "${fault:-}" ] || survived[$fault]=$((${survived[$fault]:-0} + $([ "$held" = yes ] && echo 1 || echo 0)))
	fault=
}
broken() {
	held=no
	printf 'NOT SURVIVED: %s: %s\n' "$fault" "$*" >&2
	[ ! -s err ] || sed 's/^/    | /' <(tail -n 5 err) >&2
}
# status WANT [TEXT]: the last run's exit status, and what standard error says. The Go runtime never does.
status() {
	[[ " $1 " == *" $rc "* ]] || broken "status $rc, not $1"
	[ -z "${2:-}" ] || grep -qF -- "$2" err || broken "standard error does not say: $2"
	! grep -qE '^(goroutine |panic:|fatal error:)' err || broken "a dump of goroutines"
}
run() { "$@" >out 2>err; rc=$?; }
same() { cmp -s "$1" "$2" || broken "$1 is not $2"; }
no_temporary() {
	local left=("$@"/**/.polyphon-????????????????)
	[ ${#left[@]} = 0 ] || broken "left: ${left[*]}"
}
nap() { sleep "$(printf '0.%03d' $(($1 + RANDOM % $2)))"; } # milliseconds: at least, and up to so many more
whole_csv() { # whole result files only: a header and a result, both with a line feed
	local f
	for f in "$1"/**/*.wav.csv; do
		[ "$(head -c 4 "$f")" = kind ] && [ "$(tail -c 1 "$f" | wc -l)" = 1 ] && grep -q '^result,' "$f" ||
			broken "$f is not whole"
	done
}
same_results() { diff -rq -x '.polyphon-*' "$1" "$2" >diff || broken "$(head -n 3 diff)"; }
as_user=()
[ "$(id -u)" != 0 ] || as_user=(setpriv --reuid=65534 --regid=65534 --clear-groups)

fit=("$train" fit --data words --stem 8:3:1:2 --stages 16:1:3:1:2 --epochs 150 --batch 8 --augment light --lr 0.05
	--warmup 1 --threads 2)
many=("$classify" --format csv --out r many)

echo "seed ${1:-$$}; reference runs" >&2
run "${fit[@]}" --out reference && "$train" eval --model reference --data words --split all --json >reference.json ||
	{ cat err; exit 1; }
run "$classify" --format csv --out reference.r many || { cat err; exit 1; }
run "$train" export --onnx reference.onnx small || { cat err; exit 1; }

echo kills >&2
more=() done=no
for kill in {1..12}; do
	attempt "kill -9 in train fit"
	"${fit[@]}" --out m "${more[@]}" >out 2>err &
	nap 100 700
	kill -9 $! 2>/dev/null || done=yes
	wait $! 2>/dev/null
	[ ! -e m ] || "$train" info m >/dev/null || broken "the model is not whole"
	more=(--resume)
	[ $done = no ] || break
done
attempt "train fit --resume gives what it would have given"
run "${fit[@]}" --out m --resume; status 0
"$train" eval --model m --data words --split all --json >m.json; same m.json reference.json
for kill in {1..12}; do
	attempt "kill -9 in classify --out"
	"${many[@]}" >out 2>err &
	nap 20 250
	kill -9 $! 2>/dev/null
	wait $! 2>/dev/null
	whole_csv r
done
attempt "the same classify --out goes on"
run "${many[@]}"; status 0
find r -name '.polyphon-????????????????' -delete
same_results r reference.r
run "${many[@]}"; status 0 "nothing to do: all 300 inputs"
for kill in {1..8}; do
	attempt "kill -9 in train export and import"
	for what in "export --onnx e small" "import --onnx reference.onnx --out i"; do
		$train $what >out 2>err &
		nap 5 40
		kill -9 $! 2>/dev/null
		wait $! 2>/dev/null
	done
	[ ! -e e ] || same e reference.onnx
	[ ! -e i ] || "$train" info i >/dev/null || broken "the imported model is not whole"
	rm -f e i .polyphon-*
done
attempt "kill -9 of one of two shards"
rm -rf r
"${many[@]}" --shard 0/2 >out 2>/dev/null & first=$!
"${many[@]}" --shard 1/2 >/dev/null 2>&1 & second=$!
nap 50 150
kill -9 $first 2>/dev/null
wait $first 2>/dev/null
wait $second || broken "the other shard has status $?"
run "${many[@]}"; status 0
find r -name '.polyphon-????????????????' -delete
same_results r reference.r

echo signals >&2
mkfifo silent stuck # a pipe that nothing comes through, and one that nobody reads
exec 8<>silent 9<>stuck
mkdir -p words.long/{low,high}
ln long/[01].wav words.long/low && ln long/[23].wav words.long/high
phases=( # each goes on until it is stopped
	"$classify --model silent many"
	"$classify --stream"
	"$classify -"
	"$classify long"
	"$classify --windows --format ndjson --out o1 long"
	"$classify --save s1 --format json many long"
	"$classify doctor --model silent"
	"${fit[*]} --out s2 --epochs 100000 --force"
	"${fit[*]} --out s3 --data words.long --force"
	"${fit[*]} --out s4 --teacher silent --force"
	"$train eval --model silent --data words"
	"$train eval --model reference --data words.long --split all"
	"$train tune --model reference --data words --split all --without long --out s5"
	"$train import --onnx silent --out s6"
	"$train export --onnx unread small"
	"$train info silent"
)
mkfifo unread
# start COMMAND... begins it in a process group of its own, in which SIGINT is not ignored.
start() {
	set -m
	"$@" 2>err &
	set +m
	pid=$!
}
for phase in "${phases[@]}"; do
	for signal in INT TERM HUP; do
		attempt "SIG$signal in each phase"
		start $phase <silent >out
		nap 350 150
		begun=$(date +%s%N)
		kill -$signal -- "-$pid"
		wait $pid; rc=$?
		status 130 interrupted
		[ $((($(date +%s%N) - begun) / 1000000)) -lt 5000 ] || broken "took more than 5 s: $phase"
		no_temporary .
	done
done
for signal in INT TERM HUP; do
	attempt "second signal, while nobody reads the results"
	start "$classify" --windows --format ndjson long/0.wav >stuck
	nap 500 100
	kill -$signal $pid; nap 100 1; kill -$signal $pid 2>/dev/null
	begun=$(date +%s%N)
	wait $pid; rc=$?
	status 130 interrupted
	[ $((($(date +%s%N) - begun) / 1000000)) -lt 1000 ] || broken "took more than 1 s"
done

echo disks >&2
attempt "full device as output"
for format in text csv json ndjson audacity; do
	"$classify" --format $format many/0/000.wav >/dev/full 2>err; rc=$?
	status 1 "no space left on device"
done
attempt "full device as output"
run "$train" export --onnx /dev/full small; status 1 "no space left"
attempt "full device as output"
run "${fit[@]}" --out /dev/full; status 1 "no space left"
limited() { (ulimit -f "$1"; shift; "$@") >out 2>err; rc=$?; }
for kib in 1 64 512; do
	attempt "ulimit -f: no room for a model"
	limited $kib "${fit[@]}" --out l1; status 1 "file too large"
	! grep -q '^epoch' err || broken "training began"
	limited $kib "$train" export --onnx l2 small; status 1 "file too large"
	limited $kib "$train" import --onnx reference.onnx --out l3; status 1 "file too large"
	[ ! -e l1 ] && [ ! -e l2 ] && [ ! -e l3 ] || broken "a file was made"
	no_temporary .
done
mkdir "$full"
if mount -t tmpfs -o size=4m,nr_inodes=100k tmpfs "$full" 2>/dev/null; then
	for room in 0 100 900; do # KiB that are left
		attempt "full disk: train finds out before the work"
		rm -f "$full"/*
		head -c $(((4096 - room) * 1024)) /dev/zero >"$full/ballast" 2>/dev/null
		for what in "fit --data words --out" "export small --onnx" "import --onnx reference.onnx --out"; do
			run "$train" $what "$full/x"; status 1 "no space left on device"
			! grep -q '^epoch' err || broken "training began"
		done
		[ "$(ls -A "$full")" = ballast ] || broken "left: $(ls -A "$full")"
	done
	attempt "full disk: a log and a model that become too long"
	rm -f "$full"/*
	run "${fit[@]}" --out "$full/m" --log "$full/log"; status 0
	for room in 1060 1120 1180; do
		attempt "full disk: classify --out goes on when there is room"
		rm -rf "${full:?}"/*
		head -c $(((4096 - room) * 1024)) /dev/zero >"$full/ballast" 2>/dev/null
		run "$classify" --format csv --out "$full/r" many; status 1 "no space left on device"
		whole_csv "$full/r"
		no_temporary "$full"
		rm "$full/ballast"
		run "$classify" --format csv --out "$full/r" many; status 0
		same_results "$full/r" reference.r
	done
else
	echo "no tmpfs can be mounted here (not root): the rows about a full disk are missing" >&2
fi

echo rights >&2
mkdir locked theirs && chmod 777 theirs && chmod -R a+rX . && chmod 555 locked
cp reference theirs/model && chmod 444 theirs/model
user() { run "${as_user[@]}" "$@"; }
attempt "read-only folder"
user "${fit[@]}" --out locked/m; status 1 "locked/m: permission denied"
! grep -q '^epoch' err || broken "training began"
attempt "read-only folder"
user "$train" export --onnx locked/e small; status 1 "locked/e: permission denied"
attempt "read-only folder"
user "$train" import --onnx reference.onnx --out locked/i; status 1 "locked/i: permission denied"
attempt "read-only folder"
user "$train" tune --data words --without long --out locked/t; status 1 "locked/t: permission denied"
attempt "read-only folder"
user "$classify" --out locked many; status 1 "permission denied"
attempt "read-only folder"
user "$classify" --save locked many; status 1 "permission denied"
attempt "read-only file"
user "${fit[@]}" --out theirs/model --force; status 1 "theirs/model: permission denied"
same theirs/model reference
attempt "read-only file"
user "$train" export --onnx theirs/model small; status 1 "theirs/model: permission denied"
same theirs/model reference
mkdir mixed && cp many/0/00*.wav mixed && mkdir mixed/closed && cp many/1/001.wav mixed/closed
for case in 000.wav closed 007.wav; do
	attempt "unreadable input"
	chmod 000 "mixed/$case"
	user "$classify" --format csv mixed; status 1 "mixed/$case"
	grep -q "^result,mixed/00" out || broken "the others were not classified"
	chmod 755 "mixed/$case"
done
for kill in 1 2 3; do
	attempt "rights lost while training"
	rm -rf lost && mkdir lost && { [ "$(id -u)" != 0 ] || chown 65534 lost; }
	"${as_user[@]}" "${fit[@]}" --out lost/m >out 2>err &
	for _ in {1..200}; do [ -e lost/m.checkpoint ] && break; sleep 0.02; done
	nap 50 200
	chmod 555 lost
	wait $!; rc=$?
	status 1 "permission denied"
	chmod 755 lost
	user "${fit[@]}" --out lost/m --resume; status 0
	"$train" eval --model lost/m --data words --split all --json >m.json; same m.json reference.json
done

echo pipes >&2
for format in text csv json ndjson; do
	attempt "pipe that is closed"
	"$classify" --windows --format $format long/0.wav many 2>err | head -c 1 >/dev/null
	rc=${PIPESTATUS[0]}
	status "1 141" # SIGPIPE
	[ ! -s err ] || broken "says something"
done
attempt "pipe that is closed"
for _ in {1..60}; do cat "$root"/examples/*.wav; done 2>/dev/null |
	timeout 60 "$classify" --stream --format ndjson 2>err | head -c 1 >/dev/null
rc=${PIPESTATUS[1]}
status 1 "classify: processed"
for closed in "<&-" ">&-" "2>&-" "<&- >&- 2>&-"; do
	attempt "closed descriptors"
	eval '"$classify" --out closed.r many/0/000.wav >out 2>err '"$closed"; rc=$?
	status "0 1"
	eval '"$train" export --onnx closed.onnx small >out 2>err '"$closed"; rc=$?
	status "0 1"
	same closed.onnx reference.onnx
	rm -rf closed.*
done

echo inputs >&2
for kill in 1 2 3 4; do
	attempt "inputs replaced while they are read"
	rm -rf changing changing.r final.r
	cp -r many changing
	"$classify" --format csv --out changing.r changing >out 2>err & pid=$!
	for i in {0..60}; do
		n=$(printf '%03d' $i) to=changing/$((i % 7))
		case $((RANDOM % 4)) in
		0) cp many/$(((i + 1) % 7))/$(printf '%03d' $((i + 1))).wav new && mv new "$to/$n.wav" ;;
		1) head -c 30 "many/$((i % 7))/$n.wav" >"$to/$n.wav" ;;
		2) rm "$to/$n.wav" ;;
		3) touch "$to/$n.wav" ;;
		esac
	done
	wait $pid; rc=$?
	status "0 1"
	whole_csv changing.r
	run "$classify" --format csv --out changing.r changing; status "0 1"
	run "$classify" --format csv --out final.r changing; status "0 1"
	for f in final.r/**/*.wav.csv; do same "$f" "changing${f#final}"; done
	for f in changing.r/**/*.wav.csv; do # of what was removed before it was read again, there may be one
		input=changing/${f#changing.r/}
		[ -e "final${f#changing}" ] || [ ! -e "${input%.csv}" ] || broken "$f is of a damaged input"
	done
done

echo targets >&2
mkdir -p away
for name in m onnx import log; do ln -s "away/$name" "link.$name"; done
attempt "symbolic links as outputs"
run "${fit[@]}" --out link.m --log link.log; status 0
attempt "symbolic links as outputs"
run "$train" export --onnx link.onnx small; status 0
same away/onnx reference.onnx
attempt "symbolic links as outputs"
run "$train" import --onnx reference.onnx --out link.import; status 0
for name in m onnx import log; do [ -L link.$name ] && [ -s away/$name ] || broken "link.$name was replaced"; done
mkfifo fifo
for kill in 1 2 3; do
	attempt "pipes and devices as outputs"
	cat fifo >through &
	run "$train" export --onnx fifo small; status 0
	wait $!
	same through reference.onnx
	[ -p fifo ] || broken "the pipe was replaced"
	"$train" export --onnx /dev/stdout small >through 2>err; rc=$?
	status 0
	same through reference.onnx
	run "${fit[@]}" --out /dev/null; status 0
	[ -c /dev/null ] && [ ! -e /dev/null.checkpoint ] || broken "/dev/null was replaced"
done
for mask in 022 077 002; do
	attempt "umask"
	rm -rf masked*
	(umask $mask; "$train" export --onnx masked small && "$classify" --out masked.r many/0) >out 2>err; rc=$?
	status 0
	want=$(printf '%o' $((0666 & ~0$mask)))
	for f in masked masked.r/000.wav.txt masked.r/.polyphon-index; do
		[ "$(stat -c %a "$f")" = "$want" ] || broken "$f has mode $(stat -c %a "$f"), not $want"
	done
	chmod 640 masked
	run "$train" export --onnx masked small; status 0
	[ "$(stat -c %a masked)" = 640 ] || broken "the mode was changed"
done
for out in reference m; do
	attempt "train fit over an earlier run"
	cp $out before
	run "${fit[@]}" --out $out; status 2 "$out.checkpoint is there from an earlier run"
	same $out before
done

echo limits >&2
mkfifo sound
for mib in 800 1000 1600 2000 3000 6000; do
	attempt "ulimit -v, 0.8 GB and more"
	(ulimit -v $((mib * 1024)); "$classify" many/0/000.wav) >out 2>err; rc=$?
	[ $rc = 0 ] || status 1 "the limit of address space is $mib MiB"
done
for kill in 1 2 3; do
	attempt "Ctrl-C while a command of --exec runs"
	rm -f begun ended
	{ cat "$root"/examples/{left,stop,yes}.wav; head -c 3000000 /dev/zero; sleep 5; } 2>/dev/null >sound & feed=$!
	start "$classify" --stream --format ndjson --exec 'sh -c "echo >>begun; sleep 0.5; echo >>ended"' <sound >out
	for _ in {1..300}; do [ -e begun ] && break; sleep 0.02; done
	kill -INT -- "-$pid"
	wait $pid; rc=$?
	kill $feed 2>/dev/null
	status 130 "classify: processed"
	[ -e begun ] && cmp -s begun ended || broken "a command did not come to its end"
done
settle

printf '\n%-55s %6s %9s\n' fault tried survived
bad=0
for fault in "${faults[@]}"; do
	printf '%-55s %6d %9d\n' "$fault" "${tried[$fault]}" "${survived[$fault]:-0}"
	[ "${tried[$fault]}" = "${survived[$fault]:-0}" ] || bad=1
done
exit $bad
