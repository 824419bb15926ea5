# Turns a system-call list into the entries of filter.c's table.
{ sub(/#.*/, "") }
NF == 0 { next }
NF > 2 || (NF == 2 && $2 !~ /^(allow|thread|self|prctl|eperm|kill)$/) {
	printf "%s:%d: not understood: %s\n", FILENAME, FNR, $0 > "/dev/stderr"
	exit 1
}
seen[$1]++ {
	printf "%s:%d: %s is named twice\n", FILENAME, FNR, $1 > "/dev/stderr"
	exit 1
}
{ printf "{\"%s\", BN_RULE_%s},\n", $1, toupper(NF == 2 ? $2 : "allow") }
