#!/usr/bin/env bash
# synthesise.sh DIR: words in synthesised voices, DIR/WORD/*.wav, as more to train on (`train fit --extra DIR`).
# Speech Commands has few clips of words outside the vocabulary; these are several hundred other words, with those of the
# vocabulary in the same voices so that the voice says nothing about the label. Needs espeak-ng (Debian: espeak-ng).
set -euo pipefail
dir=$1
each=${2:-12} # clips of a word outside the vocabulary; a word of the vocabulary gets five times as many

vocabulary="zero one two three four five eight up down left right go yes no on off stop"
# No words that sound like one of the vocabulary (to, won, ate, write, know), but many that sound nearly so.
others="able about above across add after again ago air all along also always and animal answer any apple april are arm around ask
aunt away baby back ball bank bath be beach bear beat because been before begin behind believe below best better between big bike black
blow blue boat body book both bottom box boy bread break bring broke brother brown build bus busy but buy cake call came can car card care
carry catch cause chair change cheap check child choose city class clean clear climb clock close cloud coat coffee cold colour come cook
corner could count country cover cross cry cup cut dad dance dark day dead deep did different dinner dive do doctor does done door draw dream
dress drink drive drop dry during each early earth east easy eat egg either else empty end enough even evening ever every eye face fact fair fall
family far farm fast father feel feet few field fight fill film find fine finger fire first fish fit fix floor flow fly food foot forget
found fox free fresh friend from front fruit full fun game garden gate gave get girl give glad glass goat gold gone good got grass great green
grey grow guess had hair half hall hand hard has hat have he head hear heart heavy hello help her here hide high hill him his hit hold hole
holiday home hope horse hospital hot hour how hundred hurry ice idea if ill in into is it job join jump just keep key kick kind king kitchen
knee knife lady lake land large last late laugh lead leaf least leave leg lend less let letter lie life lift light like line list listen
little live loft long look lose lot loud love low lucky lunch made make man many map march market matter may me mean meat meet men met middle
might mile milk mind minute miss mix money month moon more morning most mother mountain mouth move much music must my name near neck need never new
news next nice night none noon north nose not note nothing now number often oil old once only open or orange other our out over own
page paint paper park part party pass pay peace pen people perhaps phone pick picture piece place plane plant play please point poor post pound
pretty price pull push put queen question quick quiet quite race rain ran reach read ready real red rest rice rich ride ring rise river road
rock roll roof room rope rose round row rule run sad safe said salt same sand sat save saw say school sea seat second see seem sell
send set shall shape she ship shirt shoe shop short should shoulder show shut side sign silver since sing sister sit size skin sky sleep slow
small smell smile snow so soap soft some son song soon sort sound soup south speak spell spend spoon sport spring stand star start station
stay step stick still stone stood store storm story straight street strong study such sugar summer sun sure sweet swim table take talk tall taste
tea teach team tell ten test than thank that the their them then there these they thick thin thing think third this those though thought throw
ticket tie time tired today together told tomorrow tonight took tooth top touch town toy train travel true try turn twelve twenty uncle under until
upper us use very visit voice wait walk wall want war warm was wash watch water way we wear weather week well went were west wet what
when where which while white who whole why wide wife will wind window wine winter wish with without woman wood word work world would
year yellow yesterday yet you young your hive nope forth zebra hero fold afraid stopped alright tube"
voices=(en-us en-gb en-gb-scotland en-gb-x-gbclan en-gb-x-rp en-gb-x-gbcwmd en-029 en-us-nyc)
variants=(m1 m2 m3 m4 m5 m6 m7 m8 f1 f2 f3 f4 f5 Alex Andrea Andy Annie Denis Diogo Gene Henrique Hugo Jacky Lee Marco Mario Michael Mike
	adam anika antonio aunty belinda benjamin caleb david ed edward grandma grandpa john klatt2 klatt4 linda max michel miguel pablo paul
	pedro quincy rob robert sandro shelby steph steph2 travis victor zac)

RANDOM=1
say() { # word count
	mkdir -p "$dir/$1"
	for ((i = 0; i < $2; i++)); do
		voice=${voices[RANDOM % ${#voices[@]}]}+${variants[RANDOM % ${#variants[@]}]}
		espeak-ng -v "$voice" -s $((110 + RANDOM % 90)) -p $((25 + RANDOM % 50)) -w "$dir/$1/$i.wav" "$1"
	done
}
for word in $vocabulary; do say "$word" $((5 * each)); done
for word in $others; do say "$word" "$each"; done
